//! What only happens to others: clocks that go back, a ledger that somebody wrote into, receivers that answer nothing
//! or nonsense, exports that come in the wrong order, and two redrives at once.

use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use rustix::fs::FallocateFlags;
use serde_json::{Value, json};

use super::{FAST, USER, athlete, detail};
use crate::consumer::Consumer;
use crate::endpoint::{Does, Endpoint};
use crate::opens::opens;
use crate::support::{Ended, Place, SmallDisk};

/// A user with three activities that the pipeline has nothing of.
fn three() -> Place {
    let place = Place::new();
    let details: Vec<Value> = (1..=3).map(|n| detail(n, &format!("2026-02-0{n}T08:00:00Z"))).collect();
    place.land_details(USER, &details);
    place.prepare(&[athlete(USER)]);
    place
}

fn state(place: &Place) -> Connection {
    Connection::open(place.lake().join("state.db")).unwrap()
}

fn figures(done: &Value) -> [u64; 3] {
    ["attempts", "delivered", "delivered_before"].map(|name| done[name].as_u64().unwrap())
}

#[test]
fn a_clock_that_went_back_sends_nothing_twice() {
    let place = three();
    let endpoint = Endpoint::start(Box::new(|n| if n == 2 { Does::TakesAndCuts } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    place.redrive(&sink, &["--patience", "0s"]).expect(1);
    // What stands in the ledger is of tomorrow.
    state(&place).execute("UPDATE redrives SET changed_s = changed_s + 86400", []).unwrap();
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!(figures(&done), [2, 2, 1], "{done}");
    let done = place.redrive(&sink, &[]).expect(0).json();
    assert_eq!(figures(&done), [0, 0, 3], "{done}");
    let status = place.run(&["redrive", "status", "--json"]).expect(0).json();
    assert_eq!(status[0]["delivered"], 3, "{status}");
    // An export of a later day is no newer export.
    state(&place).execute("UPDATE export_files SET written_s = written_s + 90000", []).unwrap();
    let ended = place.redrive(&sink, &[]).expect(2);
    assert!(ended.stderr.contains("set the clock"), "{}", ended.stderr);
}

#[test]
fn a_ledger_that_somebody_wrote_into_sends_nothing_twice_and_ends_no_run_in_a_panic() {
    let place = three();
    place.redrive(&place.out(), &[]).expect(0);
    let write = |sql: &str| state(&place).execute_batch(sql).unwrap();
    // Of a word that nobody knows it is not known how it ended: it goes again, under its id.
    write("UPDATE redrives SET state = 'nonsense' WHERE start_s = (SELECT min(start_s) FROM redrives)");
    let done = place.redrive(&place.out(), &[]).expect(0).json();
    assert_eq!(figures(&done), [1, 1, 2], "{done}");
    assert_eq!(place.lines().len(), 3, "and the file has it already");
    for (breaks, mends) in [
        ("attempts = -5, state = 'unknown'", "attempts = 1, state = 'delivered'"),
        ("syncs = 9223372036854775807", "syncs = 1"),
    ] {
        write(&format!("UPDATE redrives SET {breaks}"));
        let ended = place.redrive(&place.out(), &[]).expect(1);
        assert!(ended.stderr.contains("state.db"), "{breaks}: {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{breaks}: {}", ended.stderr);
        write(&format!("UPDATE redrives SET {mends}"));
    }
    write("UPDATE redrives SET changed_s = 9223372036854775807, golden_id = '', reason = ''");
    assert_eq!(figures(&place.redrive(&place.out(), &[]).expect(0).json()), [0, 0, 3]);
}

#[test]
fn an_endpoint_that_never_answers_ends_the_run_with_what_may_have_arrived_known() {
    let place = three();
    let endpoint = Endpoint::start(Box::new(|n| if n < 100 { Does::TakesAndHangs } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    let ended = place.redrive(&sink, &["--timeout", "100ms", "--patience", "200ms"]).expect(1);
    assert!(ended.stderr.contains("nothing is lost, run the same command again"), "{}", ended.stderr);
    let done = ended.json();
    assert_eq!(
        (&done["delivered"], &done["unknown"], &done["left"]),
        (&json!(0), &json!(1), &json!(2)),
        "{done}"
    );
    let plan = place.run(&[&["redrive", "--json", "--sink", &sink], &FAST[..]].concat()).expect(0).json();
    assert_eq!((&plan["send"], &plan["send_again"]), (&json!(3), &json!(1)), "{plan}");
}

#[test]
fn an_export_that_is_older_than_another_takes_nothing_back() {
    let place = three();
    let run = |status: &str, days_ago: i64| {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * days_ago);
        let run = json!({"user_id": USER, "id": "r1", "source": "strava", "source_activity_id": "1",
            "status": status, "updated_at": at.to_string()});
        place.import(&format!("{run}\n"));
    };
    run("synced", 1);
    run("failed", 3);
    let plan = place.dry_run(&[]);
    assert_eq!(plan["send"], 2, "the newer one says that it is there: {plan}");
}

#[test]
fn of_two_redrives_at_once_one_sends_and_each_message_goes_once() {
    let place = Place::crowd(2, 20);
    let endpoint = Endpoint::start(Box::new(|_| Does::TakesLate));
    let sink = format!("cloudevents:{}", endpoint.url());
    let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..]].concat();
    let start = || place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let both = [start(), start()].map(|child| Ended::of(child.wait_with_output().unwrap()));
    let sent: u64 = both
        .iter()
        .filter(|ended| ended.code == Some(0))
        .map(|ended| ended.json()["delivered"].as_u64().unwrap())
        .sum();
    assert_eq!(sent, 40, "{both:?}");
    assert_eq!(endpoint.events().len(), 40, "each once");
    for refused in both.iter().filter(|ended| ended.code != Some(0)) {
        assert!(refused.stderr.contains("another longrun"), "{refused:?}");
    }
}

#[test]
fn a_plan_reads_each_bucket_once_and_the_state_no_oftener_for_more_users() {
    let opened = |users: u32| {
        let place = Place::crowd(users, 4);
        let counts = opens(&place.lake(), || {
            assert_eq!(place.dry_run(&[])["send"].as_u64(), Some(u64::from(users) * 4));
        });
        let of = |part: &str| {
            let those = counts.iter().filter(|(path, _)| path.to_string_lossy().contains(part));
            those.map(|(path, n)| (path.clone(), *n)).collect::<Vec<_>>()
        };
        for dataset in ["golden/", "matches/", "activities/"] {
            let files = of(dataset);
            assert!(!files.is_empty(), "{dataset} is read");
            // Once for what it was made from, and once for its rows.
            let often: Vec<_> = files.iter().filter(|(_, n)| *n > 2).collect();
            assert!(often.is_empty(), "{often:?} of {} files", files.len());
        }
        // Once for each page that bodies are in; everybody has one.
        let pages: usize = of("landing/").iter().map(|(_, n)| n).sum();
        assert_eq!(pages, users as usize);
        of("state.db").iter().find(|(path, _)| path.ends_with("state.db")).map_or(0, |(_, n)| *n)
    };
    let (few, many) = (opened(8), opened(60));
    assert!(few > 0 && many <= few + 4, "as often as there are planners: {few} for 8 users, {many} for 60");
}

#[test]
fn a_ledger_without_room_sends_nothing_that_it_has_not_written_down() {
    let Some(disk) = SmallDisk::mount() else { return };
    disk.remount("size=8m");
    let place = Place::crowd(4, 45);
    let lake = disk.path().join("lake");
    assert!(Command::new("cp").arg("-r").arg(place.lake()).arg(&lake).status().unwrap().success());
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("cloudevents:{}", endpoint.url());
    let redrive = || {
        let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..]].concat();
        Ended::of(place.command(&args).env("LONGRUN_LAKE", &lake).output().unwrap())
    };
    // Somebody else fills the disk, all but a few pages of the ledger.
    let full = std::fs::File::create(disk.path().join("full")).unwrap();
    let room = rustix::fs::statvfs(disk.path()).unwrap();
    rustix::fs::fallocate(&full, FallocateFlags::empty(), 0, room.f_bavail * room.f_frsize - (160 << 10))
        .unwrap();
    let ended = redrive().expect(1);
    assert!(ended.stderr.contains("free some space and run the same command again"), "{}", ended.stderr);
    let sent = endpoint.requests();
    assert!(sent < 180, "{sent}");
    drop(full);
    std::fs::remove_file(disk.path().join("full")).unwrap();
    let intents: i64 = Connection::open(lake.join("state.db"))
        .unwrap()
        .query_row("SELECT coalesce(sum(attempts), 0) FROM redrives", [], |row| row.get(0))
        .unwrap();
    assert!(intents >= sent as i64, "{sent} were sent, {intents} were written down");
    redrive().expect(0);
    let mut consumer = Consumer::new();
    endpoint.events().iter().for_each(|message| consumer.take(message));
    consumer.check();
    assert_eq!(consumer.runs.len(), 180);
}

#[test]
fn a_login_page_is_no_delivery_whatever_its_status_says() {
    for sink in ["cloudevents", "webhook"] {
        let place = three();
        let endpoint = Endpoint::start(Box::new(|n| if n == 2 { Does::ShowsAPage } else { Does::Takes }));
        let sink = format!("{sink}:{}", endpoint.url());
        let ended = place.redrive(&sink, &[]).expect(1);
        assert!(ended.stderr.contains("shows a web page (HTTP 200"), "{}", ended.stderr);
        assert_eq!(endpoint.requests(), 2, "it stops there");
        assert_eq!(figures(&place.redrive(&sink, &[]).expect(0).json()), [2, 2, 1]);
        assert_eq!(endpoint.taken().len(), 3, "each once");
    }
}
