//! Pub/Sub: what the sink publishes to Google's own fake, read back with Google's own client.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::consumer::Consumer;
use crate::redrive::kills::{Planned, Redrives, nothing_armed};
use crate::redrive::{FAST, check_sink, told_activities};
use crate::support::{Ended, Place, python_with};

const TOPIC: &str = "projects/fitglue-server-test/topics/topic-raw-activity";
const SUBSCRIPTION: &str = "projects/fitglue-server-test/subscriptions/longrun";

/// Debian's golang-google-cloud-dev.
const GOPATH: &str = "/usr/share/gocode";

/// A server that ends with this value.
struct Fake {
    child: Child,
    address: String,
    python: String,
}

impl Fake {
    /// None, with a word, where it cannot be built.
    fn start(folder: &Path, args: &[&str]) -> Option<Fake> {
        let python = python_with("google.cloud.pubsub_v1")?;
        let program: PathBuf = folder.join("pstest");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pstest/main.go");
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(&program)
            .arg(source)
            .envs([("GO111MODULE", "off"), ("GOPATH", GOPATH), ("GOFLAGS", "")])
            .output();
        if !built.as_ref().is_ok_and(|built| built.status.success()) {
            assert!(std::env::var("CI").is_err(), "the fake does not build: {built:?}");
            eprintln!("skipped: no fake of Pub/Sub (apt-get install golang-go golang-google-cloud-dev)");
            return None;
        }
        let mut child =
            Command::new(&program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Fake { child, address: address.trim().to_string(), python })
    }

    fn client(&self, args: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pubsub.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args(args).env("PUBSUB_EMULATOR_HOST", &self.address);
        Ended::of(command.output().unwrap()).expect(0).stdout
    }

    /// What was published since this was last asked, in the order of the topic.
    fn pull(&self) -> Vec<Vec<u8>> {
        self.messages("pull")
    }

    fn messages(&self, verb: &str) -> Vec<Vec<u8>> {
        let lines = self.client(&[verb, SUBSCRIPTION]);
        lines.lines().map(|line| BASE64.decode(line).unwrap()).collect()
    }

    fn redrive(&self, place: &Place, more: &[&str]) -> Ended {
        let sink = format!("pubsub:{TOPIC}");
        let args = [&["redrive", "--apply", "--json", "--sink", &sink], &FAST[..], more].concat();
        Ended::of(place.command(&args).env("PUBSUB_EMULATOR_HOST", &self.address).output().unwrap())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_consumed_from_a_topic_is_the_contracts_to_the_byte() {
    let place = told_activities();
    let Some(fake) = Fake::start(place.folder.path(), &[]) else { return };
    fake.client(&["make", TOPIC, SUBSCRIPTION]);
    let done = fake.redrive(&place, &[]).expect(0).json();
    assert_eq!(done["delivered"], 5);
    let messages: Vec<String> =
        fake.pull().into_iter().map(|message| String::from_utf8(message).unwrap()).collect();
    let golden: Vec<&str> = include_str!("messages.jsonl").lines().collect();
    assert_eq!(messages, golden);
}

#[test]
fn a_topic_passes_the_suite() {
    let place = Place::crowd(3, 40);
    let Some(fake) = Fake::start(place.folder.path(), &[]) else { return };
    fake.client(&["make", TOPIC, SUBSCRIPTION]);
    let pulled = std::cell::RefCell::new(Vec::new());
    let arrived = || -> Vec<Vec<u8>> {
        let mut pulled = pulled.borrow_mut();
        pulled.extend(fake.pull());
        pulled.clone()
    };
    check_sink(&place, &|more| fake.redrive(&place, more), &arrived);
}

/// Requests fail, answers are lost, and consumers give messages back.
#[test]
fn a_topic_whose_answers_are_lost_gets_everything_in_order_under_one_id() {
    const SEED: u64 = 21;
    println!("seed {SEED}");
    let place = Place::crowd(6, 40);
    let Some(fake) = Fake::start(place.folder.path(), &["fickle", &SEED.to_string()]) else { return };
    fake.client(&["make", TOPIC, SUBSCRIPTION]);
    let planned = Planned::of(&place);
    let done = fake.redrive(&place, &[]).expect(0).json();
    assert_eq!((done["delivered"].as_u64(), done["unknown"].as_u64()), (Some(240), Some(0)), "{done}");
    assert!(done["sent_again"].as_u64().unwrap() > 0, "{done}");
    let given_back = fake.messages("redeliver");
    let published = fake.pull();
    assert!(published.len() > 240, "some came twice, under one id");
    planned.check(&published);
    let mut consumer = Consumer::new();
    given_back.into_iter().chain(published).for_each(|message| consumer.take(&message));
    assert_eq!(consumer.runs.len(), 240, "a run each, however often its message is delivered");
    assert_eq!(fake.redrive(&place, &[]).expect(0).json()["attempts"], 0);
}

fn kill_over_a_topic(seed: u64, kills: usize) {
    println!("seed {seed}");
    let place = Place::crowd(5, 12 + 2 * u32::try_from(kills).unwrap().min(100));
    let Some(fake) = Fake::start(place.folder.path(), &["fickle", &seed.to_string()]) else { return };
    fake.client(&["make", TOPIC, SUBSCRIPTION]);
    let planned = Planned::of(&place);
    let redrives = Redrives {
        place: &place,
        sink: format!("pubsub:{TOPIC}"),
        more: &[],
        environment: vec![("PUBSUB_EMULATOR_HOST", fake.address.clone())],
    };
    redrives.kill(&mut Pcg64Mcg::seed_from_u64(seed), kills, &nothing_armed);
    planned.check(&fake.pull());
}

#[test]
fn kills_over_a_topic_lose_nothing_and_keep_the_order() {
    kill_over_a_topic(22, 12);
}

/// `cargo test --release --features pubsub --test it a_hundred_kills -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes"]
fn a_hundred_kills_over_a_topic() {
    kill_over_a_topic(20_261_126, 100);
}

#[test]
fn a_topic_that_is_not_there_or_may_not_be_used_is_told_in_a_sentence() {
    let place = Place::crowd(1, 5);
    let Some(fake) = Fake::start(place.folder.path(), &[]) else { return };
    let ended = fake.redrive(&place, &[]).expect(1);
    assert!(
        ended.stderr.contains("there is no topic projects/fitglue-server-test/topics/"),
        "{}",
        ended.stderr
    );
    let Some(denied) = Fake::start(place.folder.path(), &["denied"]) else { return };
    let ended = denied.redrive(&place, &[]).expect(1);
    assert!(ended.stderr.contains("may not publish"), "{}", ended.stderr);
    assert!(ended.stderr.contains("pubsub.publisher"), "{}", ended.stderr);
    // Gone altogether, and back again under the same name.
    drop(denied);
    let gone = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let sink = format!("pubsub:{TOPIC}");
    let args = [&["redrive", "--apply", "--sink", &sink], &FAST[..], &["--patience", "300ms"]].concat();
    let ended = Ended::of(place.command(&args).env("PUBSUB_EMULATOR_HOST", gone).output().unwrap()).expect(1);
    assert!(ended.stderr.contains("nothing is lost, run the same command again"), "{}", ended.stderr);
    fake.client(&["make", TOPIC, SUBSCRIPTION]);
    assert_eq!(fake.redrive(&place, &[]).expect(0).json()["delivered"], 5);
}
