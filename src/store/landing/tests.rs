use super::*;

fn header(user_id: &str) -> Header {
    Header {
        v: VERSION,
        source: "strava".to_string(),
        ask: Ask::List { scan: 1, until_s: None, before_s: Some(1_700_000_000), page: 1 },
        user_id: user_id.to_string(),
        account_id: "42".to_string(),
        request: "/athlete/activities?per_page=200".to_string(),
        fetched_at: "2026-11-23T03:00:00Z".parse().unwrap(),
        after: None,
        status: 200,
    }
}

/// Lands bodies of one user in one run; `closed` runs seal their segments.
fn land(lake: &Lake, bodies: &[&[u8]], closed: bool) {
    let mut landing = Landing::open(lake).unwrap();
    for body in bodies {
        landing.append(&header("u"), body).unwrap();
    }
    if closed {
        landing.close().unwrap();
    }
}

fn lake() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open_or_create(dir.path()).unwrap();
    (dir, lake)
}

/// The last segment of the user's, as a path.
fn last(lake: &Lake) -> std::path::PathBuf {
    lake.place(&segments(lake, lake.bucket("u")).unwrap().last().unwrap().key)
}

fn pieces(lake: &Lake, from: Position) -> Vec<Piece> {
    Frames::open(lake, lake.bucket("u"), from).unwrap().map(Result::unwrap).collect()
}

/// The bodies that can be read, and the damage between them.
fn answers(lake: &Lake) -> Vec<String> {
    let word = |piece: Piece| match piece {
        Piece::Frame(frame) => match frame.open() {
            Ok((_, body)) => String::from_utf8_lossy(&body).into_owned(),
            Err(why) => why.to_string(),
        },
        Piece::Damaged { offset, bytes, .. } => format!("{bytes} damaged bytes at {offset}"),
    };
    pieces(lake, Position::default()).into_iter().map(word).collect()
}

#[test]
fn every_body_comes_back_to_the_byte() {
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let all: [&[u8]; 8] = [
        b"[]",
        b"",
        b"[{\"name\":\",\\\"body\\\":\"}]",
        b"{\n  \"id\": 1\n}",
        b"<html>busy</html>",
        b"[{\"name\":\"\xff\xfe\"}]",
        b"\xef\xbb\xbf[]",
        &deep,
    ];
    let (_dir, lake) = lake();
    land(&lake, &all, true);
    let bodies: Vec<Vec<u8>> = pieces(&lake, Position::default())
        .into_iter()
        .map(|piece| match piece {
            Piece::Frame(frame) => frame.open().unwrap().1,
            Piece::Damaged { .. } => panic!("nothing was damaged"),
        })
        .collect();
    assert_eq!(bodies, all);
}

#[test]
fn a_header_that_speaks_of_bodies_is_still_read() {
    let (_dir, lake) = lake();
    let mut tricky = header("u");
    tricky.account_id = "a\",\"body\":\"b".to_string();
    tricky.request = "/x?,\"body\":1".to_string();
    let mut landing = Landing::open(&lake).unwrap();
    landing.append(&tricky, b"[1]").unwrap();
    let Piece::Frame(frame) = &pieces(&lake, Position::default())[0] else { panic!("it is whole") };
    assert_eq!(frame.open().unwrap(), (tricky, b"[1]".to_vec()));
}

#[test]
fn a_segment_cut_at_any_byte_keeps_its_whole_frames_and_is_never_cut_by_us() {
    let (_dir, lake) = lake();
    land(&lake, &[b"[1]", b"[2]", b"[3]"], false);
    let path = last(&lake);
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<u64> = pieces(&lake, Position::default())
        .iter()
        .map(|piece| match piece {
            Piece::Frame(frame) => frame.offset + frame.bytes.len() as u64,
            Piece::Damaged { .. } => panic!("nothing was damaged"),
        })
        .collect();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut as u64).count();
        land(&lake, &[b"[4]"], true);
        let all = answers(&lake);
        assert_eq!(all.len(), kept + 1, "cut at {cut}: {all:?}");
        assert_eq!(all[kept], "[4]");
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..cut], "an older segment is never touched");
        std::fs::remove_file(last(&lake)).unwrap();
    }
}

/// Whatever single byte is broken, in a header, a block header, or the data: its own frame is lost and no other.
#[test]
fn a_broken_byte_costs_its_own_frame_and_never_one_behind_it() {
    let (_dir, lake) = lake();
    let bodies: Vec<String> = (0..4).map(|n| format!("[{}]", n.to_string().repeat(40))).collect();
    let bytes: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
    land(&lake, &bytes, true);
    let path = last(&lake);
    let whole = std::fs::read(&path).unwrap();
    let offsets: Vec<usize> = pieces(&lake, Position::default())
        .iter()
        .map(|piece| match piece {
            Piece::Frame(frame) => frame.offset as usize,
            Piece::Damaged { .. } => panic!("nothing was damaged"),
        })
        .collect();
    let frames_end = whole.len() - seal(4).len();
    for at in 0..frames_end {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = whole.clone();
            broken[at] ^= flip;
            std::fs::write(&path, &broken).unwrap();
            let hit = offsets.iter().rposition(|offset| *offset <= at).unwrap();
            let all = answers(&lake);
            for (number, body) in bodies.iter().enumerate().filter(|(number, _)| *number != hit) {
                assert!(all.contains(body), "byte {at} ^ {flip:#x}: frame {number} of {all:?}");
            }
            // What is lost is said, whether as a frame that does not open or as bytes that are none.
            let is_said = all.iter().any(|line| line.contains("damaged"));
            assert!(all.contains(&bodies[hit]) || is_said, "byte {at} ^ {flip:#x}: {all:?}");
        }
    }
}

#[test]
fn zeros_left_by_a_power_cut_are_a_torn_end_and_so_is_garbage_but_not_before_a_seal() {
    for tail in [vec![0; 4096], b"not a frame".to_vec()] {
        let (_dir, lake) = lake();
        land(&lake, &[b"[1]"], false);
        let mut bytes = std::fs::read(last(&lake)).unwrap();
        bytes.extend_from_slice(&tail);
        std::fs::write(last(&lake), &bytes).unwrap();
        land(&lake, &[b"[2]"], true);
        assert_eq!(answers(&lake), ["[1]", "[2]"]);
        bytes.extend_from_slice(&seal(1));
        std::fs::write(lake.place(&segments(&lake, lake.bucket("u")).unwrap()[0].key), &bytes).unwrap();
        let all = answers(&lake);
        assert!(all[1].starts_with(&format!("{} damaged bytes at ", tail.len())), "{all:?}");
    }
}

#[test]
fn a_frame_of_a_newer_longrun_is_kept_and_said_to_be_one() {
    let (_dir, lake) = lake();
    let mut landing = Landing::open(&lake).unwrap();
    landing.append(&header("u"), b"[1]").unwrap();
    landing.append(&Header { v: VERSION + 1, ..header("u") }, b"[2]").unwrap();
    drop(landing);
    let text = |v: u8| format!("{{\"v\":{v},\"kind\":\"zones\",\"body\":1}}\n");
    let newer = zstd::bulk::compress(text(VERSION + 1).as_bytes(), 3).unwrap();
    let mut bytes = std::fs::read(last(&lake)).unwrap();
    bytes.extend_from_slice(&newer);
    bytes.extend_from_slice(&zstd::bulk::compress(text(VERSION).as_bytes(), 3).unwrap());
    bytes.extend_from_slice(&seal(4));
    std::fs::write(last(&lake), &bytes).unwrap();
    let all = answers(&lake);
    assert_eq!(all[..2], ["[1]", "[2]"], "a header that can be read is read");
    assert!(all[2].contains("newer longrun") && all[3].contains("damaged"), "{all:?}");
}

#[test]
fn reading_goes_on_from_a_position_in_whatever_segment() {
    let (_dir, lake) = lake();
    land(&lake, &[b"[1]", b"[2]"], true);
    land(&lake, &[b"[3]"], false);
    land(&lake, &[b"[4]"], true);
    let mut frames = Frames::open(&lake, lake.bucket("u"), Position::default()).unwrap();
    let mut positions = vec![Position::default()];
    while frames.next().transpose().unwrap().is_some() {
        positions.push(frames.position());
    }
    for (read, position) in positions.iter().enumerate() {
        let text = position.to_string();
        assert_eq!(text.parse::<Position>().unwrap(), *position);
        assert_eq!(pieces(&lake, *position).len(), 4 - read, "from {position}");
    }
    let all = segments(&lake, lake.bucket("u")).unwrap();
    assert_eq!(Position::default().bytes_behind(&all), all.iter().map(|segment| segment.bytes).sum::<u64>());
}
