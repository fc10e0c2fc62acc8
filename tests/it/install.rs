//! What an installer needs of the program itself.

use std::path::Path;
use std::process::Command;

use crate::support::{BINARY, Ended, python_with};
use crate::words::demo;

#[test]
fn shells_read_their_completions_and_every_command_has_a_man_page() {
    let run = |args: &[&str]| Ended::of(Command::new(BINARY).args(args).output().unwrap()).expect(0);
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).stdout;
        assert!(script.contains("redrive") && script.contains("evaluate"), "{shell}: {script}");
        if shell == "bash" {
            let path = folder.path().join("longrun.bash");
            std::fs::write(&path, script).unwrap();
            // What the shell offers for `longrun redr`.
            let offers = format!(
                "source '{}'; COMP_WORDS=(longrun redr); COMP_CWORD=1; _longrun longrun redr longrun; echo \"${{COMPREPLY[*]}}\"",
                path.display()
            );
            let output = Command::new("bash").args(["-c", &offers]).output().unwrap();
            assert_eq!(Ended::of(output).expect(0).stdout.trim(), "redrive");
        }
    }
    let pages = folder.path().join("man1");
    run(&["man", pages.to_str().unwrap()]);
    for page in ["longrun.1", "longrun-fetch.1", "longrun-dedupe-decide.1", "longrun-export.1"] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH OPTIONS"), "{page}: {text}");
    }
}

#[test]
fn the_python_package_hands_the_lake_to_whatever_speaks_arrow() {
    let Some(python) = python_with("duckdb, geopandas, polars, pyarrow") else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, _) = demo();
    let output = Command::new(python)
        .arg(root.join("tests/it/package.py"))
        .current_dir(folder)
        .env("PYTHONPATH", root.join("python"))
        .env("LONGRUN_LAKE", "lake-demo")
        .env("LONGRUN_BINARY", BINARY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_release_is_scripted_and_says_what_it_lacks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = std::fs::read_to_string(root.join("packaging/build")).unwrap();
    for made in ["wheel)", "deb)", "musl)", "sbom)", "sha256sum"] {
        assert!(script.contains(made), "{made}");
    }
    let refused = Command::new("bash").arg(root.join("packaging/build")).arg("snap").output().unwrap();
    let refused = Ended::of(refused).expect(2);
    assert!(refused.stderr.contains("snap is nothing that is made here"), "{}", refused.stderr);
}
