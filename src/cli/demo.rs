//! `longrun demo`: every stage on this machine, with invented people.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::output::say;
use super::{
    Context, Exit, cast, dedupe, fetch, normalize, output, pipeline, reconcile, redrive, redrive_said,
    report, stats,
};
use crate::error::{Error, Result};
use crate::fetch::Options;
use crate::fetch::client::{App, Client};
use crate::model::secret::Secret;
use crate::redrive::sinks::Settings;
use crate::sources::Source;
use crate::sources::strava::endpoints::Depth;
use crate::stats::{Capacity, Counting, Filter, Key};
use crate::store::archives::{Archives, Outcome, Wanted};
use crate::store::lake::Lake;
use crate::store::local;
use crate::store::names::REDRIVE;
use crate::store::state::accounts::{Accounts, Replace};
use crate::testing::emulator::{Config, Emulator, Limits, Synthetic};
use crate::testing::synth::{self, Person};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How much of each activity to fetch
    #[arg(long, value_enum, default_value = "list")]
    depth: Depth,
}

/// So small that the fetch has to wait for a window, so long that people see it.
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
    let lake = fresh_lake(context.folder()?)?;
    let limits = if args.depth == Depth::List { LIMITS } else { DEEP_LIMITS };
    let invented = synth::Options::default();
    let people: Vec<Person> = (0..invented.users).map(|number| cast::person(invented, number)).collect();
    let total: usize = people.iter().map(|p| p.workouts.len()).sum();
    let config = Config { limits, ..Config::default() };
    let app = App { client_id: config.client_id.clone(), client_secret: Secret::new(&config.client_secret) };
    let users = people.len();
    let emulator = Emulator::start(config, Box::new(Synthetic::new(people)))?;
    say!("five invented people, and what went wrong with their data:");
    for (name, life) in cast::CAST {
        say!("  {name:6} {life}");
    }
    say!(
        "1. emulate: {} of {} on an emulated Strava at {}\n   (it allows {} reads per {} s; the real one allows 100 per 15 minutes)",
        output::count_of(total as u64, "activity", "activities"),
        output::count_of(users as u64, "invented person", "invented people"),
        emulator.base_url(),
        limits.read_short,
        limits.short_window_s
    );
    Accounts::open(&lake)?.add(&emulator.accounts(), Replace::Any)?;

    say!("2. fetch");
    let options = Options {
        depth: args.depth,
        users: Vec::new(),
        priority: Vec::new(),
        app: Some(app),
        concurrency: 4,
        per_second: NonZeroU32::new(200).expect("not zero"),
        reserve: Some(0.2),
        max_wait: None,
        patience: Duration::from_secs(60),
        max_requests: None,
        max_age: SignedDuration::from_hours(1),
        whole_age: None,
        ignore_archives: false,
        anew: None,
        short_window_s: limits.short_window_s,
        day_s: limits.day_s,
        metrics: None,
    };
    let client = Client::new(&emulator.base_url(), &emulator.oauth_url())?;
    let fetched = fetch::fetch(&lake, &client, &options)?;
    fetch::describe(&fetched);

    say!("3. import");
    let (imported, bytes) = import(&lake, users as u32)?;
    say!(
        "imported {} ({}): exports of the same people's watches, wristbands and apps",
        output::count_of(imported, "archive", "archives"),
        output::bytes(bytes)
    );
    let export = lake.root().join(REDRIVE).join("pipeline.jsonl");
    local::replace(&export, |out| {
        let lines = |number| synth::pipeline::lines(&cast::person(invented, number), number);
        (0..invented.users).try_for_each(|number| out.write_all(lines(number).as_bytes()))
    })?;
    pipeline::describe(&pipeline::import(&lake, &export)?);

    say!("4. normalize");
    let begin = Instant::now();
    let normalized = normalize::normalize(&lake)?.summary;
    normalize::describe(&lake, &normalized, begin.elapsed().as_secs_f64());

    say!("5. dedupe");
    let begin = Instant::now();
    let deduped = dedupe::run_on(&lake, &crate::dedupe::Options::default())?;
    dedupe::describe(&deduped.summary, begin.elapsed().as_secs_f64());
    cast::findings(&lake)?.iter().for_each(|line| say!("{line}"));

    say!("6. report");
    let (page, _) = report::write(&lake, &crate::report::Options::default(), None)?;
    say!("open {} in a browser", page.display());

    let everything = Filter {
        users: Vec::new(),
        since: None,
        until: None,
        sport: None,
        counting: Counting::Once,
        buckets: Vec::new(),
    };
    let sums = crate::stats::sums(&lake, &[Key::Year], &everything, Capacity::default())?.all()?;
    if context.json {
        output::json(&sums)?;
    } else {
        say!("7. stats: each workout once");
        output::print(stats::table(&sums).trim_end())?;
    }
    say!(
        "8. reconcile with an invented live pipeline: it was connected late, and for a while its webhook was lost"
    );
    let reconciled = crate::redrive::reconcile::reconcile(&lake, &[], Timestamp::now())?;
    say!("{}", reconcile::table(&reconciled, users).trim_end());

    say!("9. rehearse the redrive: what the pipeline would do with it");
    let to = |sink: &str, name: &str| format!("{sink}:{}", lake.root().join(REDRIVE).join(name).display());
    let rehearsal = redrive_options(&to("rehearse", "rehearsal"))?;
    redrive_said::describe(&redrive::apply(&lake, &rehearsal, &Settings::default())?);

    say!("10. redrive what it missed, into a file");
    let options = redrive_options(&to("file", "messages.jsonl"))?;
    let driven = redrive::apply(&lake, &options, &Settings::default())?;
    redrive_said::describe(&driven);

    let (root, page) = (lake.root().display(), page.display());
    say!(
        "everything is in {root}:\n  \
         {root}/landing     every API answer and archive, byte for byte\n  \
         {root}/activities  one row per record, as Parquet that any tool reads\n  \
         {root}/golden      one row per workout; {root}/matches says why\n  \
         {root}/redrive     the messages that the pipeline missed\n\
         look at it: open {page} in a browser\n\
         try next:\n  \
         longrun --lake {root} stats efforts --user nora\n  \
         longrun --lake {root} export nora-files --user nora\n  \
         longrun --lake {root} reconcile --user pema"
    );
    Ok(if normalized.rejects > 0 { Exit::DoneWithRejects } else { Exit::Done })
}

/// Without a pace: neither a file nor a rehearsal needs one.
fn redrive_options(sink: &str) -> Result<crate::redrive::Options> {
    Ok(crate::redrive::Options {
        per_second: NonZeroU32::new(100_000).expect("not zero"),
        per_user: Duration::ZERO,
        ..crate::redrive::Options::to(sink.parse()?)
    })
}

/// Imports what other sources have of the same people: four sources of the first person, wristbands and strength
/// logs of everybody.
fn import(lake: &Lake, users: u32) -> Result<(u64, u64)> {
    let folder = tempfile::tempdir().map_err(Error::io("make", std::env::temp_dir()))?;
    let mut archives = Archives::open(lake)?;
    let (mut imported, mut bytes) = (0, 0);
    for number in 0..users {
        let options = synth::Options::default();
        let person = cast::person(options, number);
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

/// A new lake beside the real one, so that invented people never mix with real ones.
fn fresh_lake(beside: &Path) -> Result<Lake> {
    let mut name = beside.as_os_str().to_owned();
    name.push("-demo");
    let folder = PathBuf::from(name);
    let mark = folder.join(".made-by-demo");
    if folder.exists() {
        // Somebody's own lake may have this name: clear away only what a demo made.
        if !mark.exists() {
            return Err(Error::Usage(format!(
                "{} is not a lake that a demo made; move it, or choose another folder with --lake",
                folder.display()
            )));
        }
        std::fs::remove_dir_all(&folder).map_err(Error::io("clear", &folder))?;
    }
    local::replace(&mark, |_| Ok(()))?;
    Lake::open_or_create(&folder)
}
