//! `longrun demo`: the whole job on this machine, with nobody's data.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{Context, Exit, dedupe, fetch, normalize, output, pipeline, reconcile, redrive, report, stats};
use crate::error::{Error, Result};
use crate::fetch::Options;
use crate::fetch::client::{App, Client};
use crate::fetch::walk::Depth;
use crate::redrive::sinks::{Address, Settings};
use crate::report::stats::by_source_sport_and_year;
use crate::sources::Source;
use crate::store::archives::{Archives, Outcome, Wanted};
use crate::store::lake::Lake;
use crate::store::local;
use crate::store::state::accounts::{Accounts, Secret};
use crate::testing::emulator::{Config, Emulator, Limits, Synthetic};
use crate::testing::synth;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much of every activity
    #[arg(long, value_enum, default_value = "list")]
    depth: Depth,
}

/// Small enough that the fetch has to wait for a window, long enough that it is seen.
const LIMITS: Limits = Limits {
    overall_short: 40,
    overall_day: 40_000,
    read_short: 12,
    read_day: 20_000,
    short_window_s: 4,
    day_s: 3_600,
};
/// For `--depth detail` and `streams`, which take thousands of requests.
const DEEP_LIMITS: Limits = Limits { overall_short: 2_000, read_short: 1_000, ..LIMITS };

pub fn run(context: &Context, args: Args) -> Result<Exit> {
    let lake = fresh_lake(&context.lake)?;
    let limits = if args.depth == Depth::List { LIMITS } else { DEEP_LIMITS };
    let people = synth::people(synth::Options::default());
    let total: usize = people.iter().map(|p| p.workouts.len()).sum();
    let config = Config { limits, ..Config::default() };
    let app = App { client_id: config.client_id.clone(), client_secret: Secret::new(&config.client_secret) };
    let users = people.len();
    let emulator = Emulator::start(config, Box::new(Synthetic::new(people)))?;
    say!(
        "1. an emulated Strava serves {} activities of {users} invented people at {}\n   ({} reads per {} s; the real one gives 100 per 15 minutes)",
        output::count(total as u64),
        emulator.base_url(),
        limits.read_short,
        limits.short_window_s
    );
    Accounts::open(&lake)?.add(&emulator.accounts())?;

    say!("2. fetch");
    let options = Options {
        depth: args.depth,
        users: Vec::new(),
        app: Some(app),
        concurrency: 4,
        per_second: NonZeroU32::new(200).expect("not zero"),
        reserve: 0.2,
        max_wait: None,
        max_requests: None,
        max_age: SignedDuration::from_hours(1),
        whole_list: false,
        ignore_archives: false,
        short_window_s: limits.short_window_s,
        day_s: limits.day_s,
    };
    let client = Client::new(&emulator.base_url(), &emulator.oauth_url())?;
    let fetched = fetch::fetch(&lake, &client, &options)?;
    fetch::describe(&fetched);

    say!("3. import");
    let (imported, bytes) = import(&lake, users as u32)?;
    say!(
        "imported {imported} archives ({}): what watches, bands and apps of these people told their own clouds",
        output::bytes(bytes)
    );
    let export = lake.root().join("pipeline.jsonl");
    synth::pipeline::write(&export, synth::Options::default())?;
    pipeline::describe(&pipeline::import(&lake, &export)?);

    say!("4. normalize");
    let begin = Instant::now();
    let normalized = normalize::normalize(&lake)?.summary;
    normalize::describe(&lake, &normalized, begin.elapsed().as_secs_f64());

    say!("5. dedupe");
    let begin = Instant::now();
    let deduped = dedupe::run_on(&lake, &crate::dedupe::Options::default())?;
    dedupe::describe(&deduped.summary, begin.elapsed().as_secs_f64());

    say!("6. report");
    let (page, _) = report::write(&lake, &crate::report::Options::default(), None)?;
    say!("open {} in a browser", page.display());

    let mut lines = by_source_sport_and_year(&lake)?;
    if context.json {
        output::json(&lines)?;
    } else {
        say!("7. statistics: the ten largest of {} sports and years", lines.len());
        lines.sort_by(|a, b| b.distance_km.total_cmp(&a.distance_km));
        lines.truncate(10);
        output::print(stats::table(&lines).trim_end())?;
    }
    say!("8. reconcile with what the invented pipeline has");
    let reconciled = crate::redrive::reconcile::reconcile(&lake, &[], Timestamp::now())?;
    say!("{}", reconcile::table(&reconciled, users).trim_end());

    say!("9. redrive to a file, oldest first");
    let messages = lake.root().join("redrive/messages.jsonl");
    let driven = redrive::apply(&lake, &redrive_options(&messages), &Settings::default())?;
    redrive::describe(&driven);

    let root = lake.root().display();
    say!(
        "everything is in {root}:\n  \
         {root}/landing     what the API said, to the byte: zstdcat {root}/landing/strava/*/*.zst | jq .request\n  \
         {root}/landing/archives  what was imported, unchanged\n  \
         {root}/activities  one row per activity: any tool that reads Parquet, or longrun --lake {root} stats\n  \
         {root}/golden      one row per workout, from all that tell of it; {root}/matches says why\n  \
         {root}/redrive     what the pipeline missed, as the messages it takes"
    );
    Ok(if normalized.rejects > 0 { Exit::DoneWithRejects } else { Exit::Done })
}

/// To a file, which takes whatever comes as fast as it comes.
fn redrive_options(messages: &Path) -> crate::redrive::Options {
    crate::redrive::Options {
        per_second: NonZeroU32::new(100_000).expect("not zero"),
        per_user: Duration::ZERO,
        ..crate::redrive::Options::to(Address::File(messages.to_path_buf()))
    }
}

/// What other sources have of the same people: all that the first one's tell, and everybody's wristbands and
/// tables of strength sessions.
fn import(lake: &Lake, users: u32) -> Result<(u64, u64)> {
    let folder = tempfile::tempdir().map_err(Error::io("make", std::env::temp_dir()))?;
    let mut archives = Archives::open(lake)?;
    let (mut imported, mut bytes) = (0, 0);
    for number in 0..users {
        let options = synth::Options::default();
        let person = synth::person(options, number);
        let wanted: &[Source] = match number {
            0 => &[Source::Garmin, Source::Fitbit, Source::Hevy, Source::Files],
            _ => &[Source::Fitbit, Source::Hevy],
        };
        for export in synth::exports::of(&person, number, options, Some(wanted)) {
            let path = folder.path().join(export.name);
            std::fs::write(&path, &export.bytes).map_err(Error::io("write", &path))?;
            let wanted = Wanted {
                user_id: person.user_id.clone(),
                source: export.source.name().to_string(),
                name: export.name.to_string(),
                zone: export.timezone.map(str::to_string),
            };
            if let Outcome::Imported { bytes: more } = archives.copy(&wanted, &path, Timestamp::now())? {
                imported += 1;
                bytes += more;
            }
        }
    }
    Ok((imported, bytes))
}

/// A lake beside the real one, so that invented people never get among real ones; made anew
/// each time.
fn fresh_lake(beside: &Path) -> Result<Lake> {
    let mut name = beside.as_os_str().to_owned();
    name.push("-demo");
    let folder = PathBuf::from(name);
    let mark = folder.join(".made-by-demo");
    if folder.exists() {
        // Somebody's own lake may have this name: only what a demo made is cleared away.
        if !mark.exists() {
            return Err(Error::Usage(format!(
                "{} is not a lake that a demo made; move it, or name another folder with --lake",
                folder.display()
            )));
        }
        std::fs::remove_dir_all(&folder).map_err(Error::io("clear", &folder))?;
    }
    local::replace(&mark, |_| Ok(()))?;
    Lake::open_or_create(&folder)
}
