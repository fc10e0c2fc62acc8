//! Archives that somebody broke, or meant ill with: a clear reject each, the rest imported, and
//! nothing outside the lake.

use std::io::Write;

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::support::{Place, files};

const GPX: &str = "<gpx><trk><name>good</name><trkseg><trkpt lat=\"52\" lon=\"13\"><time>2024-05-01T08:00:00Z</time></trkpt>\
<trkpt lat=\"52.001\" lon=\"13\"><time>2024-05-01T08:01:00Z</time></trkpt></trkseg></trk></gpx>";

fn point(lat: &str, lon: &str, time: &str) -> String {
    format!("<trkpt lat=\"{lat}\" lon=\"{lon}\"><time>{time}</time><ele>NaN</ele></trkpt>")
}

fn gpx(points: &[String]) -> String {
    format!("<gpx><trk><trkseg>{}</trkseg></trk></gpx>", points.concat())
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.add_symlink("link.gpx", "/etc/passwd", options).unwrap();
    writer.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_zip_of_nasties_is_read_to_the_good_ones() {
    let place = Place::new();
    let zeros = vec![b' '; 300 << 20];
    let bomb = gzip(&zeros);
    let gzipped = gzip(GPX.as_bytes());
    let nested = zip(&[("inner.gpx", GPX.replace("good", "nested").as_bytes())]);
    let deep = zip(&[("a.zip", &zip(&[("b.zip", &zip(&[("c.gpx", GPX.as_bytes())]))]))]);
    let entities =
        "<!DOCTYPE gpx [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]>"
            .to_string()
            + &GPX.replace("good", "&c;");
    let tower = "<gpx><trk>".to_string() + &"<a>".repeat(1_000_000);
    let utf16: Vec<u8> = GPX.replace("good", "ūtf-16").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let old = gpx(&[point("52", "13", "1970-01-01T00:00:10Z"), point("52", "13", "1970-01-01T00:00:20Z")]);
    let future = gpx(&[point("52", "13", "2099-01-01T00:00:10Z")]);
    let no_day = gpx(&[point("52", "13", "2023-02-30T00:00:10Z")]);
    let off =
        gpx(&[point("91.5", "13", "2024-06-01T00:00:00Z"), point("NaN", "inf", "2024-06-01T00:01:00Z")]);
    let mut lying = vec![14, 32, 0, 0, 0xff, 0xff, 0xff, 0x7f];
    lying.extend_from_slice(b".FIT\0\0");
    let entries: Vec<(&str, &[u8])> = vec![
        ("good.gpx", GPX.as_bytes()),
        ("../../evil.gpx", GPX.as_bytes()),
        ("/tmp/evil.gpx", GPX.as_bytes()),
        ("bomb.gpx.gz", &bomb),
        ("nested.zip", &nested),
        ("deep.zip", &deep),
        ("entities.gpx", entities.as_bytes()),
        ("tower.gpx", tower.as_bytes()),
        ("utf16.gpx", &utf16),
        ("empty.fit", b""),
        ("cut.gpx", &GPX.as_bytes()[..GPX.len() / 2]),
        ("cut.tcx.gz", &gzipped[..30]),
        ("1970.gpx", old.as_bytes()),
        ("2099.gpx", future.as_bytes()),
        ("no-day.gpx", no_day.as_bytes()),
        ("off-globe.gpx", off.as_bytes()),
        ("lying.fit", &lying),
        ("picture.fit", b"\x89PNG\r\n"),
        ("readme.txt", b"hello"),
    ];
    let archive = place.file("nasty.zip", zip(&entries));
    let before = files(place.folder.path());
    place.run(&["import", "auto", &archive, "--user", "u"]).expect(0);
    let ended = place.run(&["normalize", "--json"]).expect(3);
    let rejects = place.rows("rejects");
    let find = |file: &str| {
        let found = rejects.iter().find(|row| row["raw_ref"].contains(&format!("!{file}")));
        found.unwrap_or_else(|| panic!("no reject of {file} in {rejects:?}"))
    };
    for (file, field, reason) in [
        ("../../evil.gpx", None, "leads out of the archive"),
        ("/tmp/evil.gpx", None, "leads out of the archive"),
        ("link.gpx", None, "symbolic link"),
        ("bomb.gpx.gz", None, "longer than"),
        ("deep.zip", None, "nested deeper"),
        ("tower.gpx", None, "nested deeper"),
        ("empty.fit", None, "empty file"),
        ("cut.tcx.gz", None, "cannot be read"),
        ("no-day.gpx", Some("time"), "none of the 1 points"),
        ("lying.fit", None, "the file is cut: 0 of 2147483647 bytes"),
        ("picture.fit", None, "neither FIT nor GPX nor TCX"),
    ] {
        let reject = find(file);
        assert!(reject["reason"].contains(reason), "{file}: {reject:?}");
        assert_eq!(reject.get("field").map(String::as_str), field, "{file}");
    }
    assert_eq!(ended.json()["rejects"], rejects.len());
    let rows = place.rows("activities");
    let titles: Vec<&str> = rows.iter().filter_map(|row| row.get("title")).map(String::as_str).collect();
    for title in ["good", "nested", "ūtf-16", "&c;"] {
        assert!(titles.contains(&title), "{title} is missing in {titles:?}");
    }
    // What was there before the cut is kept, and says that it is a part.
    let cut = rows.iter().find(|row| row["external_id"] == "cut.gpx");
    assert!(cut.is_none_or(|row| row.contains_key("partial")));
    // A start that cannot be is kept and doubted.
    for (file, doubt) in [
        ("1970.gpx", "1970-01-01T00:00:10Z is before anybody wore a recorder"),
        ("2099.gpx", "2099-01-01T00:00:10Z is after it was read"),
    ] {
        let row = rows.iter().find(|row| row["external_id"] == file).unwrap();
        assert!(row["doubts"].contains(doubt), "{row:?}");
    }
    // Positions off the globe are none; the time is kept.
    let off = rows.iter().find(|row| row["external_id"] == "off-globe.gpx").unwrap();
    assert!(!off.contains_key("start_lat_deg") && off["elapsed_s"] == "60.0", "{off:?}");
    // Nothing was written but the lake.
    let outside = |all: std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        all.into_keys().filter(|path| !path.starts_with(place.lake())).collect::<Vec<_>>()
    };
    assert_eq!(outside(files(place.folder.path())), outside(before));
    assert!(!std::path::Path::new("/tmp/evil.gpx").exists());
}

#[test]
fn tables_that_somebody_edited_lose_only_the_rows_at_fault() {
    let place = Place::new();
    let head = "Activity ID,Activity Date,Activity Name,Activity Type,Activity Description,Elapsed Time,Distance,Max Heart Rate,\
                Relative Effort,Commute,Activity Private Note,Activity Gear,Filename,Athlete Weight,Bike Weight,Elapsed Time,Moving Time,Distance";
    let row = |id: &str, date: &str, name: &str, elapsed: &str, distance: &str| {
        format!("{id},\"{date}\",\"{name}\",Run,\"\",60,1.0,,,false,,,,,,{elapsed},50.0,{distance}")
    };
    let rows = [
        row("1", "May 29, 2022, 3:53:35 PM", "two \"\"quotes\"\"\nand a line", "60.0", "1000.0"),
        row("2", "Feb 30, 2022, 3:53:35 PM", "no such day", "60.0", "1000.0"),
        row("x3", "May 29, 2022, 3:53:35 PM", "no id", "60.0", "1000.0"),
        row("4", "Jan 1, 1970, 12:00:00 AM", "the clock was never set", "60.0", "1000.0"),
        row("5", "May 29, 2022, 3:53:35 PM", "negative", "-60.0", "1000.0"),
        row("6", "May 29, 2022, 3:53:35 PM", "no number", "60.0", "NaN"),
        "#error#".to_string(),
        row("7", "May 30, 2022, 3:53:35 PM", "good", "60.0", "1000.0"),
    ];
    let table = format!("{head}\n{}\n", rows.join("\n"));
    // In UTF-16 with a mark, as a spreadsheet saves it.
    let bytes: Vec<u8> = format!("\u{feff}{table}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let file = place.file("export/activities.csv", bytes);
    place.run(&["import", "strava", &file, "--user", "u"]).expect(0);
    place.run(&["normalize"]).expect(3);
    let rows = place.rows("activities");
    let ids: Vec<&str> = rows.iter().map(|row| row["source_id"].as_str()).collect();
    assert_eq!(rows.len(), 5, "{ids:?}");
    let of = |id: &str| rows.iter().find(|row| row["source_id"] == id).unwrap();
    assert_eq!(of("1")["title"], "two \"quotes\"\nand a line");
    assert_eq!(of("1")["start_time"], "2022-05-29T15:53:35");
    assert!(of("4")["doubts"].contains("1970-01-01T00:00:00Z"), "{:?}", of("4"));
    assert!(!of("5").contains_key("elapsed_s") && of("5")["distance_m"] == "1000.0");
    assert!(!of("6").contains_key("distance_m"));
    let rejects = place.rows("rejects");
    for (number, field, reason) in [
        (1, Some("Activity Date"), "expected a date, found \"Feb 30"),
        (2, Some("Activity ID"), "expected a whole number"),
        (4, Some("elapsed_s"), "-60 is not between 0 and 5184000"),
        (5, Some("Distance"), "finite number"),
        (6, Some("Activity ID"), "missing"),
    ] {
        let at = format!("!activities.csv#{number}");
        let reject = rejects.iter().find(|row| row["raw_ref"].ends_with(&at)).unwrap();
        assert!(reject["reason"].contains(reason), "{reject:?}");
        assert_eq!(reject.get("field").map(String::as_str), field, "{reject:?}");
        assert_eq!(reject["record_kept"], (4..=5).contains(&number).to_string());
    }
}

#[test]
fn what_is_nobodys_export_is_refused_in_a_sentence() {
    let place = Place::new();
    let picture = place.file("holiday.jpg", b"\xff\xd8\xff\xe0");
    let cut = place.file("cut.zip", &zip(&[("a.gpx", GPX.as_bytes())])[..60]);
    for (args, said) in [
        (vec!["import", "auto", &picture, "--user", "u"], "is not an export that longrun knows"),
        (vec!["import", "garmin", &picture, "--user", "u"], "does not look like an export from garmin"),
        (vec!["import", "auto", &cut, "--user", "u"], "the zip cannot be read"),
        (
            vec!["import", "polar", &picture, "--user", "u"],
            "[possible values: strava, garmin, fitbit, hevy, apple, health-connect, files, auto]",
        ),
        (
            vec!["import", "files", &picture, "--user", "u", "--timezone", "Mars/Olympus"],
            "is not a time zone",
        ),
        (vec!["import", "files", &picture], "--user"),
    ] {
        let ended = place.run(&args).expect(2);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
    let missing = place.run(&["import", "auto", "/nowhere/at-all.zip", "--user", "u"]).expect(1);
    assert!(missing.stderr.contains("failed to read /nowhere/at-all.zip"), "{}", missing.stderr);
    // Of a manifest, the good lines are imported and the others are named.
    let good = place.file("good.gpx", GPX);
    let manifest =
        format!("user,source,path\nu,files,{good}\nu,auto,holiday.jpg\n,files,{good}\nu,files,gone.zip\n");
    let manifest = place.file("manifest.csv", manifest);
    let ended = place.run(&["import", "--manifest", &manifest, "--json"]).expect(1);
    assert_eq!((ended.json()["imported"].as_u64(), ended.json()["failed"].as_u64()), (Some(1), Some(3)));
    for line in
        ["is not an export that longrun knows", "line 4: the user is missing", "line 5: failed to read"]
    {
        assert!(ended.stderr.contains(line), "{line} is missing in {}", ended.stderr);
    }
}
