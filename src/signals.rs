//! How a person or a supervisor asks a command to end.

use crate::error::{Error, Result};

/// Ctrl-C, SIGTERM, and SIGHUP, which says that the terminal has closed.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// None where whoever began this process wants it to outlive the terminal.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    #[cfg(unix)]
    pub fn new() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind: SignalKind| signal(kind).map_err(Error::io("listen for", "signals"));
        let hangup = (!is_hangup_ignored()).then(|| listen(SignalKind::hangup())).transpose()?;
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, hangup })
    }

    #[cfg(not(unix))]
    pub fn new() -> Result<Signals> {
        Ok(Signals {})
    }

    #[cfg(unix)]
    pub async fn any(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = hangup => {}
        }
    }

    #[cfg(not(unix))]
    pub async fn any(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Whether `nohup`, or a shell's `trap '' HUP`, began this process. Only Linux tells; elsewhere a run ends well, too.
#[cfg(unix)]
pub fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// `SigIgn` is a mask in hexadecimal, and SIGHUP is number 1.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
