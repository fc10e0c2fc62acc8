//! Parsing a page, decoding polylines and device files, landing to Parquet, and finding the same workouts.
//!
//! `cargo bench` measures; `cargo test --benches` runs each once, small.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use longrun::activity::{Activity, ActivityColumns};
use longrun::dataset::columns::Columns;
use longrun::dedupe::answers::Answers;
use longrun::dedupe::weights::Weights;
use longrun::dedupe::{PersonRecords, Thresholds, link};
use longrun::lake::Lake;
use longrun::sources::strava::activity_list;
use longrun::sources::{Provenance, Source, files};
use longrun::synth::exports::device;
use longrun::synth::{Options, Person, bulk, person, rows, strava, tellings};
use longrun::{dataset, dedupe, normalize, polyline};
use rayon::prelude::*;

fn somebody() -> Person {
    person(Options { seed: 1, users: 1, activities: 1_000 }, 0)
}

fn parse_page(c: &mut Criterion) {
    let person = somebody();
    let entries: Vec<String> =
        person.workouts.iter().take(200).map(|w| strava::summary(&person, w)).collect();
    let page = format!("[{}]", entries.join(",")).into_bytes();
    let provenance = Provenance {
        user_id: person.user_id.clone(),
        source: Source::Strava,
        account_id: Some(person.athlete_id.to_string()),
        fetched_at: Timestamp::UNIX_EPOCH,
        raw_ref: "landing/strava/bucket=000.jsonl.zst@0".to_string(),
        zone: None,
    };
    let mut group = c.benchmark_group("page of 200");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("into activities, tracks decoded", |b| {
        b.iter_batched_ref(
            || page.clone(),
            |body| {
                let mut taken = 0;
                activity_list(
                    body,
                    || unreachable!("the page is sound"),
                    &provenance,
                    |_, activity| {
                        taken += usize::from(black_box(activity).is_ok());
                    },
                )
                .expect("the page is a list");
                assert_eq!(taken, 200);
            },
            BatchSize::SmallInput,
        );
    });
    // The rival: a generic tree, with nothing decoded.
    group.bench_function("into serde_json values", |b| {
        b.iter(|| {
            black_box(serde_json::from_slice::<Vec<serde_json::Value>>(&page).expect("the page is a list"))
        });
    });
    group.finish();
}

fn decode_polylines(c: &mut Criterion) {
    let person = somebody();
    let lines: Vec<String> = person
        .workouts
        .iter()
        .filter(|w| w.has_track())
        .take(100)
        .map(|w| polyline::encode(&w.track(person.home, w.detail_points())))
        .collect();
    let points: usize =
        person.workouts.iter().filter(|w| w.has_track()).take(100).map(|w| w.detail_points()).sum();
    let mut group = c.benchmark_group("100 polylines");
    group.throughput(Throughput::Elements(points as u64));
    group.bench_function("into integer tracks", |b| {
        b.iter(|| {
            lines.iter().map(|line| polyline::decode(line.as_bytes()).expect("sound").len()).sum::<usize>()
        });
    });
    group.finish();
}

fn decode_device_files(c: &mut Criterion) {
    let options = Options { seed: 1, users: 1, activities: 100 };
    let person = person(options, 0);
    let told = tellings::of(&person, 0, options);
    let telling =
        told.iter().find(|t| t.source == Source::Garmin && t.told.has_track()).expect("one is outdoors");
    let samples = telling.samples(person.home);
    let mut group = c.benchmark_group("one recording");
    group.throughput(Throughput::Elements(samples.len() as u64));
    for (name, bytes) in [
        ("fit", device::fit(telling, &samples, device::Device::WATCH)),
        ("gpx", device::gpx(telling, &samples).into_bytes()),
        ("tcx", device::tcx(telling, &samples).into_bytes()),
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
            || drop(std::fs::remove_dir_all(lake.activities_folder())),
            |()| {
                let done = normalize::run(&lake, |_| {}).expect("room");
                assert_eq!(done.activities_added, u64::from(options.users * options.activities));
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
    let people = dedupe::people(&[dataset::batch::<Activity>(&mut columns)]);
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

criterion_group!(
    benches,
    parse_page,
    decode_polylines,
    decode_device_files,
    landing_to_parquet,
    dedupe_people
);
criterion_main!(benches);
