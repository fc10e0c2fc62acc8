//! `longrun import`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::output::say;
use super::{Context, Exit, output};
use crate::error::{Error, Result};
use crate::sources::formats::pack::pack;
use crate::sources::{self, Fault, Found, Source, formats::zip::Container};
use crate::store::archives::{Archives, Outcome, Wanted};
use crate::store::lake::Lake;
use crate::store::state::zones;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the export comes from
    #[arg(required_unless_present = "manifest", conflicts_with = "manifest", value_parser = source_names())]
    source: Option<String>,
    /// The archive: a zip, a folder, or a single file
    #[arg(required_unless_present = "manifest", conflicts_with = "manifest")]
    path: Option<PathBuf>,
    /// The person, by your own id
    #[arg(long, value_name = "ID", required_unless_present_any = ["manifest", "dry_run"], conflicts_with = "manifest")]
    user: Option<String>,
    /// Import many archives: a CSV file with the columns user, source, path and, where needed,
    /// timezone. Paths are relative to the file
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The time zone of local times that come without one, such as Europe/Berlin (Hevy's CSV)
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Leave the archive where it is and read it from there; it must not change
    #[arg(long)]
    in_place: bool,
    /// Read everything and say what is in it, but keep nothing
    #[arg(long, conflicts_with_all = ["manifest", "in_place"])]
    dry_run: bool,
}

/// In the place of a source: recognise it by its contents.
pub const AUTO: &str = "auto";

/// The sources, and `auto`.
fn source_names() -> PossibleValuesParser {
    let sources = Source::ALL.iter().filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(sources.chain([PossibleValue::new(AUTO).help("Recognise it by its contents")]))
}

/// The outcome.
#[derive(Debug, Default, Serialize)]
struct Summary {
    imported: u64,
    /// Archives that were imported before, and skipped.
    known: u64,
    failed: u64,
    /// Files in folders that were not taken, such as links.
    left_out: u64,
    bytes: u64,
}

/// What an archive holds.
#[derive(Debug, Serialize)]
struct Contents {
    source: Source,
    files: u64,
    activities: u64,
    samples: u64,
    not_activities: u64,
    rejects: Vec<String>,
}

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    if let Some(zone) = &args.timezone {
        zones::check(zone)?;
    }
    if args.dry_run {
        return look(context, &args);
    }
    let wanted = match &args.manifest {
        Some(manifest) => read_manifest(manifest, &args)?,
        None => vec![Line {
            place: String::new(),
            user_id: args.user.clone().unwrap_or_default(),
            source: args.source.clone().unwrap_or_default(),
            path: args.path.clone().unwrap_or_default(),
            zone: args.timezone.clone(),
        }],
    };
    let lake = context.open_or_create()?;
    let mut archives = Archives::open(&lake)?;
    let bar = output::bar(wanted.len() as u64, "  import {bar:30} {pos}/{len} archives, {eta} left");
    let mut summary = Summary::default();
    let mut first_error = None;
    for line in &wanted {
        let mut left_out = Vec::new();
        let imported = import(&lake, &mut archives, line, args.in_place, &mut left_out);
        summary.left_out += left_out.len() as u64;
        bar.suspend(|| left_out.iter().for_each(|what| say!("left out {what}")));
        match imported {
            Ok(Outcome::Imported { bytes }) => {
                summary.imported += 1;
                summary.bytes += bytes;
            }
            Ok(Outcome::Known) => {
                summary.known += 1;
                bar.suspend(|| {
                    say!("{} was imported before; skipped", line.path.display());
                });
            }
            // If the lake is in use or damaged, the next one would fail as well.
            Err(e @ (Error::Busy { .. } | Error::Damaged { .. })) => return Err(e),
            Err(e) if args.manifest.is_none() => return Err(e),
            Err(e) => {
                summary.failed += 1;
                bar.suspend(|| say!("{}: {e}", line.place));
                first_error.get_or_insert(e);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if context.json {
        output::json(&summary)?;
    }
    if summary.imported > 0 {
        say!(
            "imported {} ({}); run `longrun normalize` next",
            output::count_of(summary.imported, "archive", "archives"),
            output::bytes(summary.bytes)
        );
    }
    Ok(match first_error {
        Some(_) => Exit::Incomplete,
        None if summary.left_out > 0 => Exit::DoneWithRejects,
        None => Exit::Done,
    })
}

/// One archive that is wanted.
pub struct Line {
    /// Where it is asked for.
    pub place: String,
    pub user_id: String,
    pub source: String,
    pub path: PathBuf,
    pub zone: Option<String>,
}

/// Imports an archive; `left_out` gets what of a folder was not taken.
pub fn import(
    lake: &Lake,
    archives: &mut Archives,
    line: &Line,
    in_place: bool,
    left_out: &mut Vec<String>,
) -> Result<Outcome> {
    if line.user_id.is_empty() {
        return Err(Error::Usage("the user is missing".to_string()));
    }
    if line.path.as_os_str().is_empty() {
        return Err(Error::Usage("the path is missing".to_string()));
    }
    let path = &line.path;
    // Whoever opens a pipe waits for its other end.
    let kind = std::fs::metadata(path).map_err(Error::io("read", path))?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let what = "neither a file nor a folder; write what it gives to a file, and import that";
        return Err(Error::Usage(format!("{} is {what}", path.display())));
    }
    let scratch = archives.scratch()?;
    let source = recognise(&line.source, &open(path, &scratch, Some(lake.root()))?, path)?;
    let wanted = Wanted {
        user_id: line.user_id.clone(),
        source: source.name().to_string(),
        name: path
            .file_name()
            .map_or_else(|| "folder".to_string(), |name| name.to_string_lossy().into_owned()),
        zone: line.zone.clone(),
    };
    let now = Timestamp::now();
    if !path.is_dir() {
        return if in_place {
            archives.leave_in_place(&wanted, path, now)
        } else {
            archives.copy(&wanted, path, now)
        };
    }
    if in_place {
        return Err(Error::Usage(format!(
            "{} is a folder; only a file can be left where it is, so leave out --in-place",
            path.display()
        )));
    }
    let mut folder = Container::of_folder(path, &scratch)?;
    if folder.leave_out(lake.root()) > 0 {
        left_out.push(format!("{}: the lake itself", lake.root().display()));
    }
    left_out.extend(folder.faults().iter().map(|(name, fault)| format!("{name}: {fault}")));
    archives.made(&wanted, pack(path, &folder, &scratch)?, now)
}

/// Opens an archive, without any part of it that is the lake itself.
fn open(path: &Path, scratch: &Path, lake: Option<&Path>) -> Result<Container> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut archive = Container::open(path, &name, scratch)?;
    let holds_lake = lake.is_some_and(|lake| archive.leave_out(lake) > 0);
    if holds_lake && archive.entries().is_empty() {
        return Err(Error::Usage(format!(
            "{} is in the lake; what is there was imported already",
            path.display()
        )));
    }
    Ok(archive)
}

/// Recognises the source of an archive, or checks the source that was given.
fn recognise(named: &str, archive: &Container, path: &Path) -> Result<Source> {
    let asked = match named {
        AUTO => None,
        name => Some(name.parse::<Source>().map_err(|e| Error::Usage(format!("{e}, and auto")))?),
    };
    let unreadable = || match archive.faults() {
        [(_, fault), ..] if archive.entries().is_empty() => format!(": {fault}"),
        _ => String::new(),
    };
    match asked {
        Some(source) if sources::recognises(source, archive) => Ok(source),
        Some(source) => Err(Error::Usage(format!(
            "{} does not look like an export from {source}{}{}",
            path.display(),
            unreadable(),
            match sources::recognise(archive) {
                Some(other) => format!("; it looks like one from {other}"),
                None => String::new(),
            }
        ))),
        None => {
            let source = sources::recognise(archive).ok_or_else(|| {
                Error::Usage(format!(
                    "{} is not an export that longrun knows{}",
                    path.display(),
                    unreadable()
                ))
            })?;
            say!("{} looks like an export from {source}", path.display());
            Ok(source)
        }
    }
}

fn read_manifest(manifest: &Path, args: &Args) -> Result<Vec<Line>> {
    let bytes = std::fs::read(manifest).map_err(Error::io("read", manifest))?;
    let text = sources::formats::csv::text(&bytes);
    let complain = |what: String| Error::Usage(format!("{}: {what}", manifest.display()));
    let table = sources::formats::csv::table(&text, sources::formats::csv::Quotes::Doubled)
        .map_err(|e| complain(e.to_string()))?;
    let column = |name: &str| table.column(&[name]).ok_or_else(|| complain(format!("no column {name}")));
    let (user, source, path) = (column("user")?, column("source")?, column("path")?);
    let zone = table.column(&["timezone"]);
    let beside = manifest.parent().unwrap_or(Path::new(""));
    let line = |(at, row): (usize, sources::formats::csv::Row<'_>)| {
        let place = format!("{}, line {}", manifest.display(), at + 2);
        let cell = |column: usize| row.get(column).unwrap_or_default().trim().to_string();
        let zone = zone.map(cell).filter(|zone| !zone.is_empty()).or_else(|| args.timezone.clone());
        if let Some(zone) = &zone {
            zones::check(zone).map_err(|e| Error::Usage(format!("{place}: {e}")))?;
        }
        let path = Some(cell(path)).filter(|path| !path.is_empty());
        let path = path.map(|path| beside.join(path)).unwrap_or_default();
        Ok(Line { place, user_id: cell(user), source: cell(source), path, zone })
    };
    table.rows().enumerate().map(line).collect()
}

/// Reads an archive and prints what is in it.
fn look(context: &Context, args: &Args) -> Result<Exit> {
    let (named, path) = (args.source.clone().unwrap_or_default(), args.path.clone().unwrap_or_default());
    let archive = open(&path, &std::env::temp_dir(), None)?;
    let source = recognise(&named, &archive, &path)?;
    let from = sources::ReadFrom {
        user_id: args.user.clone().unwrap_or_default(),
        source,
        account_id: None,
        fetched_at: Timestamp::now(),
        raw_ref: path.display().to_string(),
        zone: args.timezone.as_deref().and_then(|zone| TimeZone::get(zone).ok()),
        only_counts: true,
    };
    let files = archive.entries().len() as u64;
    let mut contents =
        Contents { source, files, activities: 0, samples: 0, not_activities: 0, rejects: Vec::new() };
    sources::read(source, &archive, &from, &mut |item| {
        let named = |fault: &Fault| format!("{}{}: {fault}", from.raw_ref, item.at);
        match item.found {
            Found::NoActivity | Found::Gone(_) => contents.not_activities += 1,
            Found::Fault(fault) => contents.rejects.push(named(&fault)),
            Found::Activity(mut taken) => {
                sources::check(&mut taken);
                contents.rejects.extend(taken.faults.iter().map(named));
                contents.activities += 1;
                contents.samples += taken.streams.map_or(0, |s| u64::from(s.samples.unsigned_abs()));
            }
        }
        Ok(())
    })?;
    if context.json {
        output::json(&contents)?;
    }
    output::complaints(&contents.rejects);
    say!(
        "{source}: {}, {} with {}, {} skipped (steps, sleep, settings), {}",
        output::count_of(contents.files, "file", "files"),
        output::count_of(contents.activities, "activity", "activities"),
        output::count_of(contents.samples, "sample", "samples"),
        output::count(contents.not_activities),
        output::count_of(contents.rejects.len() as u64, "reject", "rejects")
    );
    Ok(if contents.rejects.is_empty() { Exit::Done } else { Exit::DoneWithRejects })
}
