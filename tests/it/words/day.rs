//! A day with a small lake: two people, four sources, something wrong with each.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use jiff::Timestamp;
use longrun::testing::emulator::{Config, Emulator, Recorded};
use tempfile::TempDir;

use super::{as_on_a_terminal, figureless};
use crate::support::{BINARY, WIDE};

/// What was typed, and what was printed.
pub struct Day {
    folder: TempDir,
    emulator: Emulator,
    pub text: String,
    /// The commands that were run, as words.
    pub seen: Vec<Vec<String>>,
}

pub fn spent() -> Day {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("recorded/alice.json", &format!("[{}]", ALICE.join(",")));
    write("recorded/bob.json", &format!("[{BOB}]"));
    write("hevy.csv", HEVY);
    write("watch/morning.gpx", &gpx());
    write("watch/broken.gpx", "<gpx><trk><trkseg><trkpt lat=");
    write("manifest.csv", "user,source,path\nalice,files,watch\nbob,files,nowhere\n");
    write("rules.json", r#"[{"substring": "parkrun", "target_type": "Run"}]"#);
    write("pipeline.jsonl", &PIPELINE.map(|line| format!("{line}\n")).concat());
    write("none.json", "[]");
    write("notes.txt", "nothing that longrun reads");
    write("wrong/rules.json", r#"[{"substring": "parkrun", "target_type": "Quidditch"}]"#);
    write("wrong/manifest.csv", "user,source,path\n,hevy,hevy.csv\ncarol,hevy,\n");
    write("wrong/zones.csv", "user,source,path,timezone\nalice,hevy,../hevy.csv,Europe/Londn\n");
    write("wrong/answers.csv", "user,a,b,answer\nalice,strava:1,strava:2,perhaps\n");
    write("wrong/accounts.jsonl", "{\"user_id\":\"dave\"}\n");
    write("newer/lake.toml", "format = 99\nbuckets = 128\nhash = \"xxh64\"\n");
    write("broken/lake.toml", "format =");
    write("taken-demo/photo.jpg", "somebody's");
    let history = Recorded::open(&folder.path().join("recorded")).unwrap();
    let emulator = Emulator::start(Config { limits: WIDE, ..Config::default() }, Box::new(history)).unwrap();
    let accounts: Vec<String> =
        emulator.accounts().iter().map(|account| serde_json::to_string(account).unwrap() + "\n").collect();
    write("accounts.jsonl", &accounts.concat());
    let mut day = Day { folder, emulator, text: String::new(), seen: Vec::new() };
    for (title, lines) in CHAPTERS {
        day.text += &format!("# {title}\n\n");
        lines.iter().for_each(|line| day.run(line));
    }
    day
}

/// A line that begins with `&` runs until it has printed something, and is stopped. Of one that begins with `~`, the
/// figures are not kept: they say how the matching learns, and not what people read.
const CHAPTERS: [(&str, &[&str]); 10] = [
    (
        "Strava",
        &[
            "accounts add accounts.jsonl",
            "accounts list",
            "accounts export",
            "&connect strava --user carol",
            "~plan",
            "fetch --depth detail",
            "fetch --depth streams --max-requests 1",
            "fetch",
            "~status",
            "normalize",
            "~verify",
        ],
    ),
    (
        "Other sources",
        &[
            "import auto hevy.csv --user alice --timezone Europe/London --dry-run",
            "import auto hevy.csv --user alice --timezone Europe/London",
            "import auto hevy.csv --user alice --timezone Europe/London",
            "import --manifest manifest.csv",
            "normalize --rules rules.json",
            "normalize",
            "stats --told",
        ],
    ),
    (
        "The same workout",
        &[
            "dedupe",
            "dedupe",
            "~dedupe weights",
            "~dedupe explain strava:2 hevy:csv-116feba451420f46f5e4d9c0",
            "dedupe decide --user alice --pair strava:1 strava:2 different",
            "dedupe",
            "report",
            "stats --by user,sport",
            "stats efforts",
            "stats streaks",
            "stats eddington --csv",
        ],
    ),
    (
        "The live pipeline",
        &[
            "pipeline import pipeline.jsonl none.json",
            "reconcile",
            "redrive --sink file:messages.jsonl",
            "redrive --sink file:messages.jsonl --apply --per-user 0s",
            "redrive --sink file:messages.jsonl --apply --per-user 0s",
            "~redrive status",
        ],
    ),
    ("Every day", &["~doctor --free 0", "run", "export files --user alice"]),
    (
        "Many machines",
        &[
            "lake push shared",
            "--lake shared run plan --id day --state lake",
            "~--lake shared normalize --run day",
            "--lake shared run learn day",
            "~--lake shared dedupe --run day",
            "~--lake shared report --run day",
            "--lake shared run report day",
            "--lake shared run progress day",
            "--lake shared run finish day",
            "--lake copy lake pull shared",
            "--lake copy lake geometry on",
            "--lake copy lake rebucket 4",
            "--lake empty lake new --buckets 4096",
        ],
    ),
    ("Installing", &["man pages"]),
    (
        "Doubles",
        &[
            "&emulate strava --users 1 --activities 1",
            "~emulate schedule --accounts 10 --activities 1000 --days 2",
            "synth corpus --out corpus --seed 3 --users 1 --activities 5",
            "~dedupe evaluate --seed 3 --users 1 --activities 5",
            "synth exports exports --users 1 --activities 3",
            "synth ndjson invented.ndjson --users 1 --activities 3",
            "synth pipeline invented.jsonl --users 1 --activities 3",
            "synth apple-export export.xml --bytes 1000",
            "--lake invented synth landing --users 1 --activities 3",
            "--lake measured synth activities truth.jsonl --users 1 --activities 3",
        ],
    ),
    ("Leaving", &["~purge --user bob", "accounts revoked bob", "accounts remove bob", "accounts list"]),
    (
        "Mistakes",
        &[
            "--lake nowhere normalize",
            "--lake nowhere/at/all stats",
            "import strava hevy.csv --user alice",
            "import auto notes.txt --user alice",
            "import auto missing.zip --user alice",
            "import heavy hevy.csv --user alice",
            "import hevy hevy.csv --user alice --timezone Europe/Londn",
            "report --user carol",
            "dedupe decide --pair strava:1 strava:999 same",
            "redrive --sink carrier-pigeon",
            "pipeline import accounts.jsonl",
            "accounts remove dave",
            "accounts rekey",
            "accounts add wrong/accounts.jsonl",
            "fetsch",
            "fetch --user nobody",
            "export files --user nobody",
            "reconcile --user nobody",
            "run --timezone Europe/Londn",
            "normalize --rules notes.txt",
            "normalize --rules wrong/rules.json",
            "normalize --policy notes.txt",
            "purge --expired",
            "dedupe --match-odds 10 --review-odds 100",
            "dedupe --weights notes.txt",
            "dedupe decide --file notes.txt",
            "dedupe decide --file wrong/answers.csv",
            "dedupe decide --pair nonsense strava:1 same",
            "dedupe decide --pair strava:1 strava:4 same",
            "dedupe decide --user alice --zone polar Europe/Paris",
            "dedupe decide --user alice --zone fitbit Europe/Paris",
            "import hevy notes.txt --user alice",
            "import auto watch --in-place --user alice",
            "import auto lake/lake.toml --user alice",
            "import --manifest notes.txt",
            "import --manifest wrong/manifest.csv",
            "import --manifest wrong/zones.csv",
            "redrive --sink webhook:https://alice:secret@example.org/",
            "redrive --sink webhook:http://example.org/",
            "redrive --sink webhook:nowhere",
            "redrive --sink cloudevents:https://example.org/#batch=0",
            "redrive --sink pubsub:topic",
            "redrive --sink file:pages --apply --accept-refusals",
            "redrive --sink file:notes.txt --apply --accept-refusals",
            "redrive --sink file:more.jsonl --status there",
            "redrive --sink file:more.jsonl --apply notes.txt",
            "--lake fresh import auto hevy.csv --user alice",
            "--lake fresh fetch",
            "--lake fresh report",
            "--lake fresh stats",
            "--lake fresh export files",
            "--lake fresh reconcile",
            "--lake fresh redrive --sink file:more.jsonl",
            "--lake taken demo",
            "--lake newer stats",
            "--lake broken stats",
        ],
    ),
];

impl Day {
    fn run(&mut self, line: &str) {
        let (is_stopped, has_figures) = (line.starts_with('&'), !line.starts_with('~'));
        let line = line.trim_start_matches(['&', '~']);
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = Command::new(BINARY);
        command
            .args(&args)
            .current_dir(&self.folder)
            .env("COLUMNS", "100")
            .env("LONGRUN_STRAVA_URL", self.emulator.base_url())
            .env("LONGRUN_STRAVA_OAUTH_URL", self.emulator.oauth_url())
            .env("LONGRUN_STRAVA_CLIENT_ID", "longrun")
            .env("LONGRUN_STRAVA_CLIENT_SECRET", "emulated-secret")
            .stdin(Stdio::null());
        let (printed, code) =
            if is_stopped { until_it_serves(command) } else { as_on_a_terminal(&mut command) };
        let printed = self.steady(&printed);
        let printed = if has_figures { printed } else { figureless(&printed) };
        self.text += &format!("$ longrun {line}\n{printed}");
        if code != Some(0) {
            self.text += &code.map_or("(stopped)\n".to_string(), |code| format!("(exit code {code})\n"));
        }
        self.text.push('\n');
        let words = args.iter().skip_while(|word| word.starts_with("--")).map(|word| (*word).to_string());
        self.seen.push(words.skip(usize::from(args[0] == "--lake")).collect());
    }

    /// What is the same in every run: without this run's folder, ports, tokens, sizes, durations and dates.
    fn steady(&self, printed: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let printed = printed.replace(&folder.display().to_string(), "/home/alice");
        let lines: Vec<String> = printed.lines().map(steady_line).collect();
        lines.into_iter().map(|line| line + "\n").collect()
    }
}

/// Until it has printed something on both.
fn until_it_serves(mut command: Command) -> (String, Option<i32>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let (mut data, mut said) = (String::new(), String::new());
    out.read_line(&mut data).unwrap();
    err.read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    out.read_to_string(&mut data).unwrap();
    err.read_to_string(&mut said).unwrap();
    (said + &data, None)
}

/// Units whose numbers differ from run to run.
const UNSTEADY_UNITS: [&str; 7] = ["s", "ms", "B", "KiB", "MiB", "GiB", "minutes"];

fn steady_line(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(steady_word).collect();
    for at in 1..words.len() {
        let unit = words[at].trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = words[at - 1].trim_start_matches('(');
        let is_number = number.starts_with(|c: char| c.is_ascii_digit())
            && number.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ','));
        if UNSTEADY_UNITS.contains(&unit) && is_number {
            words[at - 1] = words[at - 1].replace(number, "N");
        }
    }
    words.join(" ")
}

/// Without ports and states in addresses, and the time when a token ends.
fn steady_word(word: &str) -> String {
    if let Some((before, _)) = word.split_once("\"expires_at\":") {
        return format!("{before}\"expires_at\":WHEN}}");
    }
    if word.len() == 20 && word.ends_with('Z') && word.parse::<Timestamp>().is_ok() {
        return "WHEN".to_string();
    }
    if let Some(at) = word.find("127.0.0.1") {
        let (before, rest) = word.split_at(at + "127.0.0.1".len());
        let port = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
        for colon in [":", "%3A"] {
            if let Some(rest) = rest.strip_prefix(colon) {
                return steady_word_tail(format!("{before}{colon}PORT"), &rest[port(rest)..]);
            }
        }
    }
    word.to_string()
}

fn steady_word_tail(known: String, rest: &str) -> String {
    let rest = steady_word(rest);
    match rest.split_once("state=") {
        Some((before, state)) => {
            let after = state.find('&').map_or("", |at| &state[at..]);
            format!("{known}{before}state=STATE{after}")
        }
        None => known + &rest,
    }
}

const ALICE: [&str; 3] = [
    r#"{"id":1,"resource_state":3,"name":"Morning Run","sport_type":"Run","type":"Run","start_date":"2025-05-03T07:00:00Z","start_date_local":"2025-05-03T08:00:00Z","timezone":"(GMT+00:00) Europe/London","utc_offset":3600,"elapsed_time":1800,"moving_time":1790,"distance":5004.2,"total_elevation_gain":31.0,"average_heartrate":148.2,"map":{"polyline":"_p~iF~ps|U_ulLnnqC_mqNvxq`@"}}"#,
    r#"{"id":2,"resource_state":3,"name":"Strength","sport_type":"WeightTraining","type":"WeightTraining","start_date":"2025-05-04T17:30:00Z","start_date_local":"2025-05-04T18:30:00Z","timezone":"(GMT+00:00) Europe/London","utc_offset":3600,"elapsed_time":3000,"moving_time":3000,"distance":0.0,"manual":true}"#,
    r#"{"id":3,"resource_state":3,"name":"Broken track","sport_type":"Ride","type":"Ride","start_date":"2025-05-05T07:00:00Z","start_date_local":"2025-05-05T08:00:00Z","timezone":"(GMT+00:00) Europe/London","utc_offset":3600,"elapsed_time":3600,"moving_time":3500,"distance":24000.0,"map":{"polyline":"_p~iF~ps|U_"}}"#,
];

const BOB: &str = r#"{"id":4,"resource_state":3,"name":"parkrun 100","sport_type":"Walk","type":"Walk","start_date":"2025-05-03T08:00:00Z","start_date_local":"2025-05-03T09:00:00Z","timezone":"(GMT+00:00) Europe/London","utc_offset":3600,"elapsed_time":1500,"moving_time":1500,"distance":5000.0}"#;

const HEVY: &str = "\"title\",\"start_time\",\"end_time\",\"description\",\"exercise_title\",\"superset_id\",\"exercise_notes\",\"set_index\",\"set_type\",\"weight_kg\",\"reps\",\"distance_km\",\"duration_seconds\",\"rpe\"\n\
\"Push Day\",\"4 May 2025, 18:30\",\"4 May 2025, 19:20\",\"\",\"Bench Press (Barbell)\",,\"\",0,\"normal\",60,8,,,8\n\
\"Push Day\",\"4 May 2025, 18:30\",\"4 May 2025, 19:20\",\"\",\"Pull Up\",,\"\",0,\"normal\",,8,,,9\n\
\"Leg Day\",\"6 May 2025, 18:30\",\"6 May 2025, 19:10\",\"\",\"Squat (Barbell)\",,\"\",0,\"normal\",80,5,,,8\n\
\"Lost Day\",\"yesterday\",\"today\",\"\",\"Squat (Barbell)\",,\"\",0,\"normal\",80,5,,,8\n";

/// The file that Alice's watch kept of her morning run: half an hour north from where Strava says she began.
fn gpx() -> String {
    let points: String = (0..=60)
        .map(|n| {
            let (latitude, minute, second) = (38.5 + f64::from(n) * 0.000_75, n / 2, n % 2 * 30);
            format!(
                "<trkpt lat=\"{latitude:.5}\" lon=\"-120.2\"><ele>{}</ele><time>2025-05-03T07:{minute:02}:{second:02}Z</time></trkpt>\n",
                100 + n % 7
            )
        })
        .collect();
    format!("<gpx creator=\"Watch\"><trk><type>running</type><trkseg>{points}</trkseg></trk></gpx>")
}

const PIPELINE: [&str; 3] = [
    r#"{"user_id":"alice","tier":"USER_TIER_ATHLETE","pipelines":[{"id":"p1","source":"SOURCE_STRAVA","destinations":["DESTINATION_SHOWCASE"]}]}"#,
    r#"{"user_id":"bob","tier":"USER_TIER_HOBBYIST","sync_count_this_month":3,"pipelines":[]}"#,
    r#"{"userId":"alice","id":"r1","sourceActivityId":"1","source":"SOURCE_STRAVA","status":"synced"}"#,
];
