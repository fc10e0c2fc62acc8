//! Every parser, fed with what is almost right: exports with bytes flipped, cut, doubled and put
//! elsewhere, and with noise. Whatever comes, it ends in records and rejects, never in a panic.
//!
//! `LONGRUN_FUZZ_INPUTS` says how many inputs each parser gets.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use jiff::Timestamp;
use longrun::fitglue;
use longrun::sources::formats::zip::Container;
use longrun::sources::{self, Found, Parsed, ReadFrom, Source, files};
use longrun::store::lake::Lake;
use longrun::testing::synth::{Options, exports, person};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const SEED: u64 = 20_261_125;

fn inputs_each() -> usize {
    std::env::var("LONGRUN_FUZZ_INPUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(400)
}

/// What parsers stumble over.
const TOKENS: [&[u8]; 20] = [
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x7f\xff\xff\xff",
    b"NaN",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"\"",
    b"\\\"",
    b"\n",
    b",",
    b"{",
    b"]",
    b"<a>",
    b"</",
    b"&#0;",
    b"null",
    b"2099-02-30T25:61:61Z",
    b".FIT",
    b"\xf0\x9f\x8f\x83",
];

fn mutated(seed: &[u8], rng: &mut Pcg64Mcg) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    if rng.random_range(0..20) == 0 {
        return (0..rng.random_range(0..400)).map(|_| rng.random()).collect();
    }
    for _ in 0..rng.random_range(1..=8) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + rng.random_range(1..64)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            4 => {
                let end = (at + rng.random_range(1..64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let token = TOKENS[rng.random_range(0..TOKENS.len())];
                let end = (at + token.len()).min(bytes.len());
                bytes.splice(at..end, token.iter().copied());
            }
        }
    }
    bytes
}

/// A parser, the file name that leads to it, and a sound input.
struct Target {
    source: Source,
    name: &'static str,
    seed: Vec<u8>,
}

fn targets() -> Vec<Target> {
    let options = Options { seed: 7, users: 8, activities: 6 };
    let mut targets = Vec::new();
    let mut add = |source, name, seed: Vec<u8>| targets.push(Target { source, name, seed });
    let export = |number: u32, source: Source| {
        exports::of(&person(options, number), number, options, Some(&[source])).remove(0).bytes
    };
    let inner = |bytes: &[u8], end: &str| {
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes.to_vec())).unwrap();
        let name = zip.file_names().map(|n| n.unwrap().into_owned()).find(|name| name.ends_with(end));
        let mut found = Vec::new();
        zip.by_name(&name.unwrap_or_else(|| panic!("no {end}"))).unwrap().read_to_end(&mut found).unwrap();
        found
    };
    let strava = export(0, Source::Strava);
    add(Source::Strava, "activities.csv", inner(&strava, "activities.csv"));
    let garmin = export(0, Source::Garmin);
    add(Source::Garmin, "x_0_summarizedActivities.json", inner(&garmin, "summarizedActivities.json"));
    let uploads = inner(&garmin, "Part1.zip");
    let mut fit = inner(&uploads, ".fit");
    // A short one is hit where it matters.
    fit.truncate(4000);
    add(Source::Files, "a.fit", fit);
    add(
        Source::Garmin,
        "push.json",
        br#"{"activityDetails":[{"userId":"u","summaryId":"5-detail","activityId":5,"summary":{"durationInSeconds":60,"startTimeInSeconds":1512234126,"startTimeOffsetInSeconds":-25200,"activityType":"RUNNING","distanceInMeters":97.5},"samples":[{"startTimeInSeconds":1512234126,"latitudeInDegree":51.05,"longitudeInDegree":-114.06,"heartRate":90},{"startTimeInSeconds":1512234186,"stepsPerMinute":80.0}],"laps":[{"startTimeInSeconds":1512234126}]}]}"#.to_vec(),
    );
    let fitbit = export(0, Source::Fitbit);
    add(Source::Fitbit, "exercise-0.json", inner(&fitbit, "exercise-0.json"));
    add(
        Source::Fitbit,
        "UserExercises_2024.csv",
        b"exercise_id,exercise_start,exercise_end,utc_offset,activity_name,log_type,tracker_total_distance_mm,tracker_avg_heart_rate\n1,2024-01-01 10:00:00+0000,2024-01-01 10:30:00+0000,+01:00,Run,TRACKER,5000000,140\n".to_vec(),
    );
    add(Source::Hevy, "workouts.csv", export(0, Source::Hevy));
    add(
        Source::Hevy,
        "workout.json",
        br#"{"id":"b4","title":"Push","start_time":"2026-08-01T12:00:00Z","end_time":"2026-08-01T13:10:00Z","exercises":[{"index":0,"title":"Bench","supersets_id":1,"sets":[{"index":0,"type":"warmup","weight_kg":60,"reps":10,"rpe":8.5}]}]}"#.to_vec(),
    );
    let mut export_xml = inner(&export(1, Source::Apple), "export.xml");
    let places = |what: &[u8]| -> Vec<usize> {
        export_xml.windows(what.len()).enumerate().filter(|(_, w)| *w == what).map(|(at, _)| at).collect()
    };
    // A few of its thousands of heart rates.
    let (records, workouts) = (places(b" <Record"), places(b" <Workout "));
    export_xml.drain(records[5]..workouts[0]);
    add(Source::Apple, "export.xml", export_xml);
    add(Source::HealthConnect, "health_connect_export.db", inner(&export(4, Source::HealthConnect), ".db"));
    let record = &longrun::testing::synth::records::of(&person(options, 0), 0, options)[0];
    let samples: Vec<_> = record.samples(person(options, 0).home).into_iter().take(8).collect();
    add(Source::Files, "a.gpx", exports::device::gpx(record, &samples).into_bytes());
    add(Source::Files, "a.tcx", exports::device::tcx(record, &samples).into_bytes());
    let small = Options { activities: 2, ..options };
    add(Source::Files, "b.fit", fit_of_an_application());
    add(
        Source::Files,
        "files.zip",
        exports::of(&person(small, 2), 2, small, Some(&[Source::Strava])).remove(0).bytes,
    );
    targets
}

/// A file with what few devices write: an application's field, the heart rates of a strap, a lap
/// and no session.
fn fit_of_an_application() -> Vec<u8> {
    const NOW: u32 = 1_083_999_600;
    // The number of a message, its fields by number, size and type, what a developer added, and its bytes.
    let message = |number: u16, fields: &[[u8; 3]], added: &[[u8; 3]], bytes: &[&[u8]]| {
        let mut all = vec![if added.is_empty() { 0x40 } else { 0x60 }, 0, 0];
        all.extend(number.to_le_bytes());
        all.push(fields.len() as u8);
        all.extend(fields.concat());
        if !added.is_empty() {
            all.push(added.len() as u8);
            all.extend(added.concat());
        }
        all.push(0);
        all.extend(bytes.concat());
        all
    };
    let mut data = message(0, &[[0, 1, 0]], &[], &[&[4]]);
    let named = [[0, 1, 2], [1, 1, 2], [2, 1, 2], [3, 6, 7], [14, 2, 0x84], [15, 1, 2]];
    data.extend(message(206, &named, &[], &[&[0, 1, 0x84], b"Power\0", &[20, 0, 7]]));
    for second in 0..8_u32 {
        let time = (NOW + second).to_le_bytes();
        let metres = (second * 300).to_le_bytes();
        data.extend(message(20, &[[253, 4, 0x86], [5, 4, 0x86]], &[[1, 2, 0]], &[&time, &metres, &[200, 0]]));
    }
    let now = NOW.to_le_bytes();
    let anchor = [[253, 4, 0x86], [9, 4, 0x86], [6, 1, 2]];
    data.extend(message(132, &anchor, &[], &[&now, &[0, 4, 0, 0], &[90]]));
    data.extend(message(132, &[[10, 3, 13], [6, 2, 2]], &[], &[&[0, 0x08, 0x00], &[91, 92]]));
    let lap = [[253, 4, 0x86], [2, 4, 0x86], [7, 4, 0x86], [25, 1, 0]];
    data.extend(message(19, &lap, &[], &[&(NOW + 8).to_le_bytes(), &now, &8000_u32.to_le_bytes(), &[1]]));
    let mut file = vec![14, 0x20, 0, 0];
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(b".FIT\0\0");
    file.extend(data);
    let crc = sources::formats::fit::crc(&file);
    file.extend(crc.to_le_bytes());
    file
}

/// What holds of every recording, whatever its bytes were.
fn makes_sense(target: &Target, parsed: &Parsed) {
    let a = &parsed.activity;
    if let (Some(moving_s), Some(elapsed_s)) = (a.moving_s, a.elapsed_s) {
        assert!(moving_s <= elapsed_s, "{}: {moving_s} of {elapsed_s} s in motion", target.name);
    }
    let Some(streams) = parsed.streams.as_ref().filter(|_| target.source == Source::Files) else { return };
    let times: Vec<i32> = streams.time_s.iter().flatten().flatten().copied().collect();
    assert!(times.is_sorted() && times.first().is_none_or(|first| *first >= 0), "{}", target.name);
    let many = streams.samples as usize;
    let lengths =
        [&streams.distance_m, &streams.altitude_m, &streams.speed_mps].map(|s| s.as_ref().map(Vec::len));
    assert!(lengths.into_iter().flatten().all(|length| length == many), "{}", target.name);
}

/// Reads bytes as an archive. Returns the records and the rejects.
fn read(target: &Target, bytes: &[u8], folder: &std::path::Path) -> (usize, usize) {
    let path: PathBuf = folder.join("input");
    std::fs::write(&path, bytes).unwrap();
    let archive = Container::open(&path, target.name, folder).unwrap();
    let from = ReadFrom {
        user_id: "u".to_string(),
        source: target.source,
        account_id: None,
        fetched_at: Timestamp::from_second(1_800_000_000).unwrap(),
        raw_ref: "r".to_string(),
        zone: None,
        only_counts: false,
    };
    let (mut activities, mut rejects) = (0, 0);
    // Whoever recognises it may read it, and so may whoever it is said to be.
    let _ = sources::recognise(&archive);
    sources::read(target.source, &archive, &from, &mut |item| {
        match item.found {
            Found::Activity(mut taken) => {
                sources::check(&mut taken);
                makes_sense(target, &taken);
                activities += 1;
            }
            Found::Fault(_) => rejects += 1,
            Found::NoActivity | Found::Gone(_) => {}
        }
        Ok(())
    })
    .unwrap();
    (activities, rejects)
}

#[test]
fn no_input_makes_a_parser_panic() {
    println!("seed {SEED}, {} inputs each", inputs_each());
    let folder = tempfile::tempdir().unwrap();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut panics = Vec::new();
    for target in targets() {
        let sound = read(&target, &target.seed, folder.path());
        let mut rng = Pcg64Mcg::seed_from_u64(SEED);
        let (mut activities, mut rejects) = (0, 0);
        for number in 0..inputs_each() {
            let bytes = mutated(&target.seed, &mut rng);
            match catch_unwind(AssertUnwindSafe(|| read(&target, &bytes, folder.path()))) {
                Ok((a, r)) => {
                    activities += a;
                    rejects += r;
                }
                Err(_) => panics.push((target.name, number)),
            }
        }
        println!("{}: sound {sound:?}, then {activities} activities and {rejects} rejects", target.name);
        assert!(sound.0 > 0 || target.name == "files.zip", "{} is no good seed: {sound:?}", target.name);
        assert!(rejects > 0, "{} refuses nothing", target.name);
    }
    let mut rng = Pcg64Mcg::seed_from_u64(SEED);
    let lake = Lake::open_or_create(&folder.path().join("lake")).unwrap();
    for number in 0..inputs_each() {
        let lines = br#"{"path":"users/u1/uploaded_activities/strava:123","start_time":"2026-01-05T08:00:00Z","duration_s":1e3}
{"path":"users/u1/pipeline_runs/r","fields":{"source_activity_id":{"stringValue":"7"},"status":{"integerValue":"2"}}}
{"user_id":"u1","tier":"hobbyist","pipelines":[{"id":"p","source":"SOURCE_STRAVA","destinations":[2]}]}"#;
        let bytes = mutated(lines, &mut rng);
        let read = catch_unwind(AssertUnwindSafe(|| {
            let _ = fitglue::import(
                &lake,
                "fuzz",
                bytes.as_slice(),
                Timestamp::UNIX_EPOCH,
                Timestamp::UNIX_EPOCH,
            )
            .unwrap();
            let _ = files::decode(bytes);
        }));
        if read.is_err() {
            panics.push(("pipeline", number));
        }
    }
    std::panic::set_hook(quiet);
    assert!(panics.is_empty(), "{panics:?}");
}
