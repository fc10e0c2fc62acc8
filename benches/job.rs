//! Parsing a page, decoding polylines and device files, landing to Parquet, finding the same workouts, building the
//! messages of a re-drive, and deciding what is fetched next.
//!
//! `cargo bench` measures; `cargo test --benches` runs each once, small.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};
use longrun::dedupe::weights::Weights;
use longrun::dedupe::{PersonRecords, Thresholds, link};
use longrun::fetch::account::Work;
use longrun::fetch::budget::{Budget, PairSeen, RateSeen};
use longrun::fetch::clock::ServerClock;
use longrun::fetch::reserve::Reserve;
use longrun::fetch::scheduler::{Bounds, Scheduler, Step};
use longrun::model::activity::{Activity, ActivityColumns};
use longrun::model::columns::Columns;
use longrun::model::polyline;
use longrun::model::secret::Secret;
use longrun::redrive::message::payload::{self, Delivery, Payload, Samples};
use longrun::redrive::route::execution_id;
use longrun::sources::strava::api::{ListEntry, activity_list};
use longrun::sources::strava::endpoints::{Depth, News};
use longrun::sources::strava::walk::{Progress, Wanted};
use longrun::sources::{Source, files};
use longrun::store::dataset;
use longrun::store::lake::Lake;
use longrun::store::landing::Ask;
use longrun::store::state::accounts::Account;
use longrun::store::state::answers::Answers;
use longrun::testing::synth::exports::device;
use longrun::testing::synth::{Options, Person, bulk, person, records, rows, strava};
use longrun::{dedupe, normalize};
use rayon::prelude::*;
use serde_json::{Map, Value};

fn somebody() -> Person {
    person(Options { seed: 1, users: 1, activities: 1_000 }, 0)
}

fn parse_page(c: &mut Criterion) {
    let person = somebody();
    let page = strava::page(&person, &person.workouts[..200]).into_bytes();
    let provenance = rows::read_from(&person, "landing/strava/000/000001-000.jsonl.zst@0");
    let mut group = c.benchmark_group("page of 200");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("into activities, tracks decoded", |b| {
        b.iter(|| {
            let mut taken = 0;
            activity_list(&page, &provenance, |_, activity| {
                taken += usize::from(black_box(activity).is_ok());
            })
            .expect("the page is a list");
            assert_eq!(taken, 200);
        });
    });
    // The rival: a generic tree, with nothing decoded.
    group.bench_function("into serde_json values", |b| {
        b.iter(|| black_box(serde_json::from_slice::<Vec<Value>>(&page).expect("the page is a list")));
    });
    group.finish();
}

/// Lines of lists and of details, beside a loop that takes character after character and checks nothing.
fn polylines(c: &mut Criterion) {
    let person = somebody();
    let walked: Vec<_> = person.workouts.iter().filter(|w| w.has_track()).take(100).collect();
    let mut group = c.benchmark_group("100 polylines");
    for (name, tracks) in [
        ("of lists", walked.iter().map(|w| w.track(person.home, w.summary_points())).collect::<Vec<_>>()),
        ("of details", walked.iter().map(|w| w.track(person.home, w.detail_points())).collect()),
    ] {
        let lines: Vec<String> = tracks.iter().map(polyline::encode).collect();
        let points: usize = tracks.iter().map(polyline::Track::len).sum();
        assert!(lines.iter().zip(&tracks).all(|(line, track)| characters(line.as_bytes()) == *track));
        group.throughput(Throughput::Elements(points as u64));
        group.bench_function(format!("{name}, decoded"), |b| {
            b.iter(|| {
                lines
                    .iter()
                    .map(|line| polyline::decode(line.as_bytes()).expect("sound").len())
                    .sum::<usize>()
            });
        });
        group.bench_function(format!("{name}, decoded, character after character"), |b| {
            b.iter(|| lines.iter().map(|line| characters(line.as_bytes()).len()).sum::<usize>());
        });
        group.bench_function(format!("{name}, encoded"), |b| {
            b.iter(|| tracks.iter().map(|track| polyline::encode(track).len()).sum::<usize>());
        });
    }
    group.finish();
}

/// A sound line, the plain way.
fn characters(line: &[u8]) -> polyline::Track {
    let points = line.len() / 5 + 1;
    let mut track =
        polyline::Track { lat_e5: Vec::with_capacity(points), lon_e5: Vec::with_capacity(points) };
    let mut at = 0;
    let mut value = || {
        let (mut bits, mut shift) = (0_u32, 0);
        loop {
            let group = u32::from(line[at]) - 63;
            at += 1;
            bits |= (group & 0x1f) << shift;
            shift += 5;
            if group < 0x20 {
                return (at, (bits >> 1) as i32 ^ -((bits & 1) as i32));
            }
        }
    };
    let (mut lat, mut lon) = (0, 0);
    let mut is_over = line.is_empty();
    while !is_over {
        lat += value().1;
        let (behind, east) = value();
        lon += east;
        is_over = behind == line.len();
        track.lat_e5.push(lat);
        track.lon_e5.push(lon);
    }
    track
}

fn decode_device_files(c: &mut Criterion) {
    let options = Options { seed: 1, users: 1, activities: 100 };
    let person = person(options, 0);
    let own = records::of(&person, 0, options);
    let record =
        own.iter().find(|t| t.source == Source::Garmin && t.workout.has_track()).expect("one is outdoors");
    let samples = record.samples(person.home);
    let mut group = c.benchmark_group("one recording");
    group.throughput(Throughput::Elements(samples.len() as u64));
    for (name, bytes) in [
        ("fit", device::fit(record, &samples, device::Device::WATCH)),
        ("gpx", device::gpx(record, &samples).into_bytes()),
        ("tcx", device::tcx(record, &samples).into_bytes()),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || bytes.clone(),
                |bytes| {
                    let file = files::decode(bytes).expect("sound");
                    assert_eq!(file.recordings[0].samples.len(), samples.len());
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn landing_to_parquet(c: &mut Criterion) {
    let options = Options { seed: 1, users: 20, activities: 500 };
    let folder = tempfile::tempdir().expect("a folder");
    let lake = Lake::open_or_create(folder.path()).expect("a lake");
    bulk::land(&lake, options).expect("room");
    let mut group = c.benchmark_group("landing to parquet");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(options.users * options.activities)));
    group.bench_function("10,000 activities", |b| {
        b.iter_batched(
            || drop(std::fs::remove_dir_all(lake.place(&lake.activities_folder()))),
            |()| {
                let done = normalize::run(&lake, |_| {}).expect("room");
                assert_eq!(done.summary.activities_added, u64::from(options.users * options.activities));
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn dedupe_people(c: &mut Criterion) {
    let options = Options { seed: 1, users: 48, activities: 160 };
    let mut columns = ActivityColumns::default();
    for number in 0..options.users {
        for (activity, _) in rows::of(&person(options, number), number, options) {
            columns.push(&activity);
        }
    }
    let people = dedupe::people(&[dataset::batch::<Activity>(&mut columns)], dedupe::Gone::LeftOut);
    let people: Vec<_> = people.into_values().collect();
    let (weights, thresholds, answers) = (Weights::default(), Thresholds::default(), Answers::default());
    let link = |person: &PersonRecords| link::link(&person.records, &weights, thresholds, &answers);
    let records: usize = people.iter().map(|p| p.records.len()).sum();
    let pairs: usize = people.iter().map(|p| link(p).pairs.len()).sum();
    let mut group = c.benchmark_group("dedupe");
    for (name, threads) in [("one thread", 1), ("all threads", 0)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        for (of, count) in [("activities", records), ("pairs", pairs)] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{of}, {name}"), |b| {
                b.iter(|| pool.install(|| people.par_iter().map(|p| link(p).groups.len()).sum::<usize>()));
            });
        }
    }
    group.finish();
}

/// An hour at 1 Hz, with every sensor.
fn hour() -> Samples {
    let each = |f: &dyn Fn(i32) -> f64| Some((0..3600).map(f).collect());
    let whole = |f: &dyn Fn(i32) -> i32| Some((0..3600).map(f).collect());
    Samples {
        time_s: (0..3600).collect(),
        heart_rate_bpm: whole(&|s| 120 + s % 47),
        power_w: whole(&|s| 180 + s % 91),
        cadence_rpm: whole(&|s| 80 + s % 11),
        speed_mps: each(&|s| 2.5 + f64::from(s % 37) / 17.0),
        altitude_m: each(&|s| 312.4 + f64::from(s % 600) / 5.0),
        lat_deg: each(&|s| f64::from(485_137_210 + s * 193) / 1e7),
        lon_deg: each(&|s| f64::from(93_812_040 - s * 251) / 1e7),
        distance_m: each(&|s| f64::from(s) * 3.1),
        temperature_c: None,
        every: 0,
    }
}

fn build_messages(c: &mut Criterion) {
    let person = somebody();
    let originals: Vec<String> = person.workouts.iter().map(|w| strava::summary(&person, w)).collect();
    let pipeline_id = "3f1c8a52-6a8e-4c9e-9d07-5a3f0a7d8e11";
    let metadata = [("backfill", "true".to_string())];
    let ids: Vec<String> = person.workouts.iter().map(|w| w.id.to_string()).collect();
    let summaries: Vec<Payload> = person
        .workouts
        .iter()
        .zip(originals.iter().zip(&ids))
        .map(|(w, (original, id))| Payload {
            source: "SOURCE_STRAVA",
            user_id: &person.user_id,
            original_json: Some(original),
            metadata: &metadata,
            activity_id: id,
            start: w.start,
            name: Some(&w.title),
            description: Some("Along the river & back"),
            sport: "ACTIVITY_TYPE_RUN",
            elapsed_s: f64::from(w.elapsed_s),
            distance_m: Some(w.distance_m),
            as_f32: true,
            ..Payload::default()
        })
        .collect();
    let hour = hour();
    let full = [Payload { samples: Some(&hour), ..summaries[0].clone() }];
    let mut group = c.benchmark_group("messages");
    for (name, payloads) in [("summaries", &summaries[..]), ("an hour at 1 Hz", &full)] {
        group.throughput(Throughput::Elements(payloads.len() as u64));
        let build_all = |build: &dyn Fn(&Payload, Delivery) -> Vec<u8>| {
            let build = |payload: &Payload| {
                let id = execution_id(payload.user_id, Source::Strava, payload.activity_id, pipeline_id);
                build(payload, Delivery { execution_id: &id, pipeline_id })
            };
            payloads.iter().map(|payload| black_box(build(payload)).len()).sum::<usize>()
        };
        group.bench_function(format!("{name}, straight"), |b| b.iter(|| build_all(&payload::message)));
        // The rival: a generic tree, serialized, then escaped for HTML.
        group.bench_function(format!("{name}, serde_json values"), |b| b.iter(|| build_all(&values_message)));
    }
    group.finish();
}

/// The same message but for the order of its keys.
fn values_message(p: &Payload, delivery: Delivery) -> Vec<u8> {
    let number = |value: f64| Value::from(if p.as_f32 { f64::from(value as f32) } else { value });
    let mut session = Map::new();
    session.insert("start_time".into(), p.start.to_string().into());
    session.insert("total_elapsed_time".into(), p.elapsed_s.into());
    let distance = p.distance_m.map_or(Value::Null, number);
    session.insert("total_distance".into(), distance.clone());
    if let Some(samples) = p.samples {
        let record = |at: usize| {
            let mut record = Map::new();
            let time = p.start + SignedDuration::from_secs(i64::from(samples.time_s[at]));
            record.insert("timestamp".into(), time.to_string().into());
            for (name, values) in [
                ("heart_rate", &samples.heart_rate_bpm),
                ("power", &samples.power_w),
                ("cadence", &samples.cadence_rpm),
            ] {
                if let Some(value) = values.as_ref().map(|values| values[at]).filter(|value| *value != 0) {
                    record.insert(name.into(), value.into());
                }
            }
            for (name, values) in [
                ("speed", &samples.speed_mps),
                ("altitude", &samples.altitude_m),
                ("position_lat", &samples.lat_deg),
                ("position_long", &samples.lon_deg),
                ("distance", &samples.distance_m),
            ] {
                if let Some(value) = values.as_ref().map(|values| values[at]).filter(|value| *value != 0.0) {
                    record.insert(name.into(), number(value));
                }
            }
            Value::Object(record)
        };
        let records: Vec<Value> = (0..samples.time_s.len()).map(record).collect();
        let rates = samples.heart_rate_bpm.as_deref().unwrap_or_default();
        session.insert("avg_heart_rate".into(), (rates.iter().sum::<i32>() / rates.len() as i32).into());
        session.insert("max_heart_rate".into(), rates.iter().max().copied().into());
        let lap = serde_json::json!({
            "start_time": p.start.to_string(),
            "total_elapsed_time": p.elapsed_s,
            "total_distance": distance,
            "records": records,
            "is_telemetry_container_only": true,
        });
        session.insert("laps".into(), Value::Array(vec![lap]));
    }
    let metadata: Map<String, Value> =
        p.metadata.iter().map(|(key, value)| (key.to_string(), value.as_str().into())).collect();
    let event = serde_json::json!({
        "specversion": "1.0",
        "id": delivery.execution_id,
        "source": "/longrun/redrive",
        "type": "com.fitglue.activity.created",
        "datacontenttype": "application/json",
        "time": p.start.to_string(),
        "data": {
            "source": p.source,
            "user_id": p.user_id,
            "timestamp": p.start.to_string(),
            "original_payload_json": p.original_json,
            "metadata": metadata,
            "standardized_activity": {
                "source": p.source,
                "external_id": p.activity_id,
                "user_id": p.user_id,
                "start_time": p.start.to_string(),
                "name": p.name,
                "type": p.sport,
                "sessions": [session],
                "description": p.description,
            },
            "pipeline_execution_id": delivery.execution_id,
            "activity_id": p.activity_id,
            "pipeline_id": delivery.pipeline_id,
        },
    });
    let plain = serde_json::to_string(&event).expect("a tree serializes");
    let mut escaped = String::with_capacity(plain.len() + 64);
    for c in plain.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            c => escaped.push(c),
        }
    }
    escaped.into_bytes()
}

/// A scheduler of accounts whose lists are known, and which owe details. The server is never full.
fn scheduler(accounts: usize) -> Scheduler {
    let now = Timestamp::from_second(1_790_000_000).expect("a time");
    let entry = |n: i64| {
        Some(ListEntry { id: n.to_string(), start_s: now.as_second() - n * 86_400, manual: false, print: 1 })
    };
    let list = |page| Ask::List { scan: 1, until_s: None, before_s: None, page };
    let work = |number: usize| {
        let mut progress = Progress::default();
        progress.take(&list(1), News::Page((1..6).map(entry).collect()), now);
        progress.take(&list(2), News::Page(Vec::new()), now);
        let account = Account {
            source: "strava".to_string(),
            user_id: format!("user-{number}"),
            account_id: number.to_string(),
            access_token: Secret::new("access"),
            refresh_token: Secret::new("refresh"),
            expires_at: i64::MAX,
            scope: None,
        };
        Work::new(account, progress, u32::MAX, Vec::new())
    };
    let wanted = Wanted::new(Depth::Streams, now, SignedDuration::from_hours(1), None);
    let budget = Budget::new(900, 86_400, Reserve::Guess(0.2));
    let bounds = Bounds {
        concurrency: 4,
        max_requests: None,
        max_wait_ms: None,
        patience_ms: i64::MAX,
        has_app: true,
    };
    let clock = ServerClock::guess(now.as_millisecond());
    Scheduler::new((0..accounts).map(work).collect(), wanted, budget, clock, bounds, 0)
}

/// Whose turn it is, whether a call fits, and what its answer changes. What was asked for is owed again, so that nothing
/// ever runs out.
fn decide(c: &mut Criterion) {
    let pair = Some(PairSeen { short_limit: 1_000_000, day_limit: 1_000_000, short_used: 1, day_used: 1 });
    let rate = RateSeen { overall: pair, read: pair };
    let mut group = c.benchmark_group("the next call");
    for accounts in [10, 1_000, 100_000] {
        let mut scheduler = scheduler(accounts);
        group.bench_function(format!("of {accounts} accounts"), |b| {
            b.iter(|| {
                let Step::Get { account, ask } = scheduler.next(0) else { panic!("something is owed") };
                scheduler.answered(0, 0, Some(1_790_000_000), rate);
                scheduler.again(account, &ask);
            });
        });
    }
    group.finish();
}

criterion_group!(
    benches,
    parse_page,
    polylines,
    decode_device_files,
    landing_to_parquet,
    dedupe_people,
    build_messages,
    decide
);
criterion_main!(benches);
