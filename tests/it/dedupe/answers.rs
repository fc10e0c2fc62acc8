//! What a person says of pairs, and what is said to them.

use std::collections::BTreeMap;

use super::{dedupe, groups, invented, names};
use crate::support::Place;

#[test]
fn what_somebody_said_overrides_and_is_remembered() {
    let place = invented(4, 60);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    let sure = matches.iter().find(|row| row["decision"] == "match" && row["reason"] == "weight").unwrap();
    let (a, b) = names(sure);
    let golden = groups(&place);
    let together = |place: &Place, a: &String, b: &String| {
        groups(place).values().any(|members| members.contains(a) && members.contains(b))
    };
    assert!(together(&place, &a, &b));
    // Two of one person that were never even compared.
    let own: Vec<String> = golden
        .iter()
        .filter(|((user, _), members)| *user == sure["user_id"] && !members.contains(&a))
        .filter_map(|(_, members)| members.iter().find(|name| !name.starts_with("strava:")).cloned())
        .collect();
    let (c, d) = (own[0].clone(), own[own.len() - 1].clone());
    assert!(!together(&place, &c, &d));

    place.run(&["dedupe", "decide", "--pair", &a, &b, "different"]).expect(0);
    let table = place.file("answers.csv", format!("user,a,b,answer\n{},{d},{c},same\n", sure["user_id"]));
    place.run(&["dedupe", "decide", "--file", &table]).expect(0);
    for _ in 0..2 {
        let summary = dedupe(&place, &[]).json();
        assert!(summary["buckets_rewritten"] == 0 || summary["answered"] == 2, "{summary}");
        assert!(!together(&place, &a, &b), "{a} and {b} are different");
        assert!(together(&place, &c, &d), "{c} and {d} are the same");
    }
    assert_eq!(place.rows("matches").iter().filter(|row| row["reason"] == "person").count(), 2);
    let report = place.run(&["report", "--json"]).expect(0).json();
    assert_eq!(report["pairs"]["answered"], 2);
    // Learning anew changes nothing about it, and taking it back does.
    dedupe(&place, &["--learn"]);
    assert!(!together(&place, &a, &b) && together(&place, &c, &d));
    place.run(&["dedupe", "decide", "--pair", &b, &a, "forget"]).expect(0);
    place.run(&["dedupe", "decide", "--pair", &c, &d, "forget"]).expect(0);
    dedupe(&place, &[]);
    assert!(together(&place, &a, &b) && !together(&place, &c, &d));

    for (args, says) in [
        (vec!["--pair", &a, "garmin:1", "same"], "there is no activity garmin:1"),
        (vec!["--pair", &a, "elsewhere:1", "same"], "there is no activity elsewhere:1"),
        (vec!["--pair", &a, "../x=1:1", "same"], "there is no activity"),
        (vec!["--pair", &a, "elsewhere", "same"], "is no SOURCE:ID"),
        (vec!["--pair", &a, &a, "same"], "is one activity, and no pair"),
        (vec!["--user", "nobody", "--pair", &a, &b, "same"], "nobody has no activity"),
        (vec!["--pair", &a, &b, "perhaps"], "perhaps"),
        (vec![], "required"),
    ] {
        let ended = place.run(&[&["dedupe", "decide"], args.as_slice()].concat()).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
    for (table, says) in [
        ("user,a,b,answer\nu,strava:1,garmin:2\n", "line 2"),
        ("user,a,b,answer\nu,strava:1,garmin:2,maybe\n", "\"maybe\" is no answer"),
        ("who,a,b,answer\n", "the columns are user,a,b,answer"),
        ("", "the columns are"),
    ] {
        let file = place.file("bad.csv", table);
        let ended = place.run(&["dedupe", "decide", "--file", &file]).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
}

#[test]
fn a_pair_is_explained_in_sentences_with_what_would_change_it() {
    let place = invented(8, 120);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    let row = |decision: &str| matches.iter().find(|row| row["decision"] == decision).unwrap();
    for (decision, says) in [("match", "are one workout"), ("no_match", "are two workouts")] {
        let (a, b) = names(row(decision));
        let user = &row(decision)["user_id"];
        let said = place.run(&["dedupe", "explain", &a, &b, "--user", user]).expect(0).stdout;
        assert!(said.starts_with(&format!("{a} and {b} {says}")), "{said}");
        let bits = format!("{:+.1} bits  together", row(decision)["bits"].parse::<f64>().unwrap());
        assert!(said.contains(&bits), "{bits}: {said}");
        assert!(said.contains("To decide otherwise: longrun dedupe decide --pair"), "{said}");
    }
    let (a, _) = names(row("match"));
    let user = &row("match")["user_id"];
    for (b, says) in [(a.as_str(), "is one activity, and no pair"), ("strava:1", "has no activity strava:1")]
    {
        let ended = place.run(&["dedupe", "explain", &a, b, "--user", user]).expect(2);
        assert!(ended.stderr.contains(says), "{says}: {}", ended.stderr);
    }
}

#[test]
fn somebody_may_say_that_two_of_one_source_are_the_same_and_that_two_parts_are_not() {
    let place = invented(8, 120);
    dedupe(&place, &[]);
    let matches = place.rows("matches");
    // Two of Strava with one of another source.
    let pair = matches
        .iter()
        .find(|r| r["decision"] == "match" && r["source_a"] == "strava" && r["reason"] == "weight");
    let pair = pair.unwrap();
    let (strava, other) = names(pair);
    let second = groups(&place)
        .into_iter()
        .filter(|((user, _), members)| *user == pair["user_id"] && !members.contains(&strava))
        .find_map(|(_, members)| members.into_iter().find(|name| name.starts_with("strava:")))
        .unwrap();
    let user = &pair["user_id"];
    let mut answers =
        format!("user,a,b,answer\n{user},{strava},{other},same\n{user},{second},{other},same\n");
    // And the two parts of one whole.
    let mut parts: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for row in matches.iter().filter(|row| row["reason"] == "part" && row["user_id"] != *user) {
        let (a, b) = names(row);
        for (whole, part) in [(&a, &b), (&b, &a)] {
            let source = part.split(':').next().unwrap().to_string();
            parts.entry((row["user_id"].clone(), whole.clone(), source)).or_default().push(part.clone());
        }
    }
    let ((owner, _, _), both) = parts.into_iter().find(|(_, parts)| parts.len() == 2).unwrap();
    answers += &format!("{owner},{},{},different\n", both[0], both[1]);
    let file = place.file("answers.csv", answers);
    place.run(&["dedupe", "decide", "--file", &file]).expect(0);
    let summary = dedupe(&place, &[]).json();
    assert_eq!(summary["answered"], 3, "{summary}");
    let groups = groups(&place);
    assert!(groups.values().any(|m| [&strava, &other, &second].iter().all(|name| m.contains(*name))));
    assert!(!groups.values().any(|m| both.iter().all(|name| m.contains(name))), "{both:?}");
}
