use std::io::{self, Write};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::*;

fn zip(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn opened(bytes: &[u8]) -> (tempfile::TempDir, Container) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    std::fs::write(&path, bytes).unwrap();
    let container = Container::open(&path, "archive.zip", folder.path()).unwrap();
    (folder, container)
}

#[test]
fn zips_within_zips_are_listed_stored_or_deflated() {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let inner = zip(&[("a/1.fit", b"one"), ("2.fit", b"two")], method);
        let outer = zip(&[("DI_CONNECT\\Part1.zip", &inner), ("3.fit", b"three")], method);
        let (_folder, container) = opened(&outer);
        let names: Vec<&str> = container.entries().iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["DI_CONNECT/Part1.zip!a/1.fit", "DI_CONNECT/Part1.zip!2.fit", "3.fit"]);
        let read: Vec<Vec<u8>> = container.entries().iter().map(|e| container.read(e).unwrap()).collect();
        assert_eq!(read, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        assert_eq!(container.entries()[0].file_name(), "1.fit");
        assert!(container.faults().is_empty());
    }
}

#[test]
fn names_that_lead_out_are_refused_and_their_neighbours_are_not() {
    let bytes = zip(
        &[
            ("../evil.fit", b"x"),
            ("/etc/evil.fit", b"x"),
            ("C:/evil.fit", b"x"),
            ("good.fit", b"x"),
            ("__MACOSX/._good.fit", b""),
        ],
        CompressionMethod::Stored,
    );
    let (_folder, container) = opened(&bytes);
    assert_eq!(container.entries().len(), 1);
    assert_eq!(container.faults().len(), 3);
}

#[test]
fn a_bomb_is_cut_short() {
    let zeros = vec![0; 300 << 20];
    let bomb = zip(&[("bomb.gpx", &zeros)], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    let (_folder, container) = opened(&bomb);
    let fault = container.read(&container.entries()[0]).unwrap_err();
    assert!(fault.reason.contains("longer than"), "{fault}");
}

#[test]
fn a_cut_zip_is_a_fault_and_not_a_failure() {
    let whole = zip(&[("a.fit", b"some bytes"), ("b.fit", b"more bytes")], CompressionMethod::Deflated);
    for cut in 4..whole.len() {
        let (_folder, container) = opened(&whole[..cut]);
        assert!(!container.faults().is_empty() || container.entries().len() == 2, "cut at {cut}");
    }
}

#[test]
fn an_entry_that_a_later_one_hides_is_told_of() {
    let mut bytes = zip(&[("a.gpx", b"first"), ("b.gpx", b"other")], CompressionMethod::Stored);
    while let Some(at) = bytes.windows(5).position(|name| name == b"b.gpx") {
        bytes[at] = b'a';
    }
    let (_folder, container) = opened(&bytes);
    assert_eq!(container.entries().len(), 1);
    let faults: Vec<String> =
        container.faults().iter().map(|(name, fault)| format!("{name}: {fault}")).collect();
    assert!(faults.len() == 1 && faults[0].contains("1 entry has the name of a later one"), "{faults:?}");
}
