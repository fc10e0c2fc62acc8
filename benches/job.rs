//! Parsing a page, decoding polylines and device files, and landing to Parquet.
//!
//! `cargo bench` measures; `cargo test --benches` runs each once, small.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use longrun::lake::Lake;
use longrun::sources::strava::activity_list;
use longrun::sources::{Provenance, Source, files};
use longrun::synth::exports::device;
use longrun::synth::{Options, Person, bulk, person, strava, tellings};
use longrun::{normalize, polyline};

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

criterion_group!(benches, parse_page, decode_polylines, decode_device_files, landing_to_parquet);
criterion_main!(benches);
