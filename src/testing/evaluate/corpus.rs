//! A corpus on disk: what to import of it, and whether it may be tuned on.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sources::formats::zip::Container;
use crate::sources::{Source, recognise};
use crate::testing::synth::corpus::TUNING_BELOW;

/// An export of one person.
#[derive(Debug)]
pub struct Export {
    pub user: String,
    /// What its folder is called.
    pub folder: String,
    /// Which source that is, by its name or by what is in it; None where neither tells.
    pub source: Option<Source>,
    path: PathBuf,
}

/// Everybody's exports: `DIR/<user>/<source>/`.
pub fn exports(folder: &Path, scratch: &Path) -> Result<Vec<Export>> {
    let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    let mut exports = Vec::new();
    for person in folders(&folder)? {
        for of_source in folders(&person)? {
            let named = Source::named(&name(&of_source).replace('_', "-"));
            for path in archives(&of_source)? {
                let recognised =
                    || Ok::<_, Error>(recognise(&Container::open(&path, &name(&path), scratch)?));
                let source = named.map_or_else(recognised, |source| Ok(Some(source)))?;
                exports.push(Export { user: name(&person), folder: name(&of_source), source, path });
            }
        }
    }
    Ok(exports)
}

/// The manifest with which `longrun import` takes them in.
pub fn manifest(exports: &[Export]) -> String {
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut row = |cells: [&str; 3]| table.write_record(cells).expect("memory takes it");
    row(["user", "source", "path"]);
    for export in exports {
        row([&export.user, export.source.map_or("auto", Source::name), &export.path.to_string_lossy()]);
    }
    String::from_utf8(table.into_inner().expect("memory takes it")).expect("it was written from text")
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut paths: Vec<PathBuf> = read.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| !name(path).starts_with('.'));
    paths.sort();
    Ok(paths)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(children(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

/// Each zip, if there are only zips; a single file; or else the folder itself.
fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let inside = children(folder)?;
    let is_zip = |path: &PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"));
    let is_single = inside.len() == 1 && inside[0].is_file();
    Ok(match inside.len() {
        0 => Vec::new(),
        _ if is_single || inside.iter().all(is_zip) => inside,
        _ => vec![folder.to_path_buf()],
    })
}

/// The seed of an invented corpus; None of one that somebody else made.
pub fn seed(folder: &Path) -> Result<Option<u64>> {
    let path = folder.join("corpus.toml");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let about: toml::Table =
        toml::from_str(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
    let seed = about.get("seed").and_then(toml::Value::as_integer);
    seed.and_then(|seed| u64::try_from(seed).ok())
        .map(Some)
        .ok_or_else(|| Error::Usage(format!("{} says no seed", path.display())))
}

/// Refuses to show what went wrong, or to give away what was learned, on people that figures are measured on.
pub fn check_tuning(seed: Option<u64>, flag: &str) -> Result<()> {
    match seed {
        Some(seed) if seed >= TUNING_BELOW => Err(Error::Usage(format!(
            "{flag} is for tuning, and people of seed {seed} are for measuring: use a seed below {TUNING_BELOW}"
        ))),
        _ => Ok(()),
    }
}
