//! An emulator, a lake in a folder of its own, and the binary between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use arrow::array::{ArrayData, make_array};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use longrun::store::lake::Lake;
use longrun::testing::emulator::{Config, Emulator, History, Limits, Synthetic};
use longrun::testing::synth::{self, Person};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_longrun");

/// Limits that no test reaches.
pub const WIDE: Limits = Limits {
    overall_short: 1_000_000,
    overall_day: 1_000_000,
    read_short: 1_000_000,
    read_day: 1_000_000,
    short_window_s: 900,
    day_s: 86_400,
};

pub struct World {
    pub folder: TempDir,
    pub emulator: Emulator,
    pub windows: String,
}

impl World {
    pub fn new(config: Config, history: Box<dyn History>) -> World {
        let folder = tempfile::tempdir().unwrap();
        let windows = format!("{},{}", config.limits.short_window_s, config.limits.day_s);
        let emulator = Emulator::start(config, history).unwrap();
        let world = World { folder, emulator, windows };
        world.add_accounts();
        world
    }

    /// A world of invented people.
    pub fn of(options: synth::Options, config: Config) -> (World, Vec<Person>) {
        let people = synth::people(options);
        (World::new(config, Box::new(Synthetic::new(people.clone()))), people)
    }

    /// Gives the lake tokens for everybody.
    pub fn add_accounts(&self) {
        let file = self.folder.path().join("accounts.jsonl");
        let lines: Vec<String> =
            self.emulator.accounts().iter().map(|a| serde_json::to_string(a).unwrap() + "\n").collect();
        std::fs::write(&file, lines.concat()).unwrap();
        self.run(&["accounts", "add", file.to_str().unwrap()]).expect(0);
        std::fs::remove_file(file).unwrap();
    }

    pub fn lake_folder(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    pub fn lake(&self) -> Lake {
        Lake::open(&self.lake_folder()).unwrap()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .env("LONGRUN_LAKE", self.lake_folder())
            .env("LONGRUN_STRAVA_URL", self.emulator.base_url())
            .env("LONGRUN_STRAVA_OAUTH_URL", self.emulator.oauth_url())
            .env("LONGRUN_STRAVA_WINDOWS", &self.windows)
            .env("LONGRUN_STRAVA_CLIENT_ID", "longrun")
            .env("LONGRUN_STRAVA_CLIENT_SECRET", "emulated-secret")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Begins a command some times and kills it at some instant.
    pub fn kill_often(&self, args: &[&str], rng: &mut Pcg64Mcg) {
        for _ in 0..8 {
            let mut child = self.command(args).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
            // One that has ended by itself is no failure.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Fetches as fast as loopback goes.
    pub fn fetch(&self, args: &[&str]) -> Ended {
        self.run(&[&["fetch", "--per-second", "10000", "--json"], args].concat())
    }
}

/// A lake without a Strava beside it.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env("LONGRUN_LAKE", self.lake()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Puts a file beside the lake.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }

    /// Invented people's exports, and the manifest of them.
    pub fn exports(&self, users: u32, activities: u32) -> String {
        let folder = self.folder.path().join("exports");
        let (users, activities) = (users.to_string(), activities.to_string());
        let folder = folder.to_str().unwrap();
        self.run(&[
            "synth",
            "exports",
            "--seed",
            "21",
            "--users",
            &users,
            "--activities",
            &activities,
            folder,
        ])
        .expect(0);
        format!("{folder}/manifest.csv")
    }

    pub fn rows(&self, dataset: &str) -> Vec<Row> {
        rows(&self.lake(), dataset)
    }
}

/// How a run of the binary ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// What `--json` printed.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// A row as column names and printed values; nulls are left out.
pub type Row = BTreeMap<String, String>;

/// Every row of the Parquet files in a folder of the lake (`activities`), or of those of them whose names begin so
/// (`activities/strava`), sorted.
pub fn rows(lake: &Path, dataset: &str) -> Vec<Row> {
    let options = FormatOptions::default().with_null("\u{0}");
    let mut rows = Vec::new();
    for path in parquet_files(lake, dataset) {
        let file = std::fs::File::open(&path).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let plain: Vec<_> = batch.columns().iter().map(|c| make_array(zoneless(c.to_data()))).collect();
            let columns: Vec<_> = batch
                .schema_ref()
                .fields()
                .iter()
                .zip(&plain)
                .map(|(field, column)| {
                    (field.name().clone(), ArrayFormatter::try_new(column, &options).unwrap())
                })
                .collect();
            for row in 0..batch.num_rows() {
                let cells =
                    columns.iter().map(|(name, values)| (name.clone(), values.value(row).to_string()));
                rows.push(cells.filter(|(_, value)| value != "\u{0}").collect());
            }
        }
    }
    rows.sort();
    rows
}

/// The Parquet files that [`rows`] reads.
pub fn parquet_files(lake: &Path, dataset: &str) -> Vec<PathBuf> {
    let (folder, begin) = dataset.split_once('/').unwrap_or((dataset, ""));
    let mut files = longrun::store::local::below(&lake.join(folder), "parquet").unwrap();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(begin));
    files
}

/// The segments of a user's landing, in order.
pub fn segments(lake: &Lake, user_id: &str) -> Vec<PathBuf> {
    let segments = longrun::store::landing::segments(lake, lake.bucket(user_id)).unwrap();
    segments.iter().map(|segment| lake.place(&segment.key)).collect()
}

/// Times without the label that they are UTC, which the formatter would want a zone database for.
fn zoneless(data: ArrayData) -> ArrayData {
    let children: Vec<ArrayData> = data.child_data().iter().cloned().map(zoneless).collect();
    let renewed =
        |field: &Field, child: &ArrayData| Field::new(field.name(), child.data_type().clone(), true);
    let data_type = match data.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::List(field) => DataType::List(renewed(field, &children[0]).into()),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().zip(&children).map(|(f, child)| renewed(f, child)).collect())
        }
        other => other.clone(),
    };
    data.into_builder().data_type(data_type).child_data(children).build().unwrap()
}

/// Without the columns that tell when and where something was fetched.
pub fn timeless(mut rows: Vec<Row>) -> Vec<Row> {
    for row in &mut rows {
        for column in ["fetched_at", "detail_at", "raw_ref", "archive_ref"] {
            row.remove(column);
        }
    }
    rows.sort();
    rows
}

/// Every file below a folder with its bytes.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The same, unpacked.
pub fn unpacked(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files(folder);
    for (_, bytes) in files.iter_mut().filter(|(path, _)| path.extension().is_some_and(|e| e == "zst")) {
        *bytes = zstd::stream::decode_all(bytes.as_slice()).unwrap();
    }
    files
}

/// The folder of real test inputs, beside the project; None, with a word, where it is not.
pub fn fixtures(below: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures").join(below);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: there is no {}", folder.display());
    None
}

/// A Python that has these modules; None, with a word, where there is none.
pub fn python_with(modules: &str) -> Option<String> {
    let python = std::env::var("LONGRUN_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let has = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var("CI").is_err(), "{python} has not {modules}");
    eprintln!("skipped: {python} has not {modules} (pip install -r tests/requirements.txt, LONGRUN_PYTHON)");
    None
}

/// A small file system, of 400 KiB where nobody says otherwise, at a folder, for as long as the value lives.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    pub fn mount() -> Option<SmallDisk> {
        SmallDisk::of("400k")
    }

    pub fn of(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk(folder));
        }
        eprintln!("skipped: this machine does not let tests mount a file system");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn remount(&self, options: &str) {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.0.path()).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
