//! Parse, run, and say how it ended.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

use clap::Parser;
use longrun::cli::Cli;

/// Parsing makes and frees millions of short strings on every core. The C libraries allocate through it, too: zstd asks
/// for its tables anew for every column that is read, and the system's allocator would take the pages from the kernel each
/// time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_free_memory_a_moment();
    Cli::parse().run()
}

/// Free memory goes back to the kernel after a moment. At once, as the allocator would, it is asked for again while the
/// next bucket is written; after a second, every thread holds what all of them needed.
#[expect(unsafe_code, reason = "the allocator's options can only be set from C")]
fn keep_free_memory_a_moment() {
    /// `mi_option_purge_delay` in the mimalloc.h of version 2, in milliseconds.
    const PURGE_DELAY: c_int = 15;
    const MOMENT_MS: c_long = 500;
    unsafe extern "C" {
        fn mi_option_set(option: c_int, value: c_long);
    }
    // SAFETY: sets a number of the allocator that this program is linked with; any time is fine.
    unsafe { mi_option_set(PURGE_DELAY, MOMENT_MS) }
}
