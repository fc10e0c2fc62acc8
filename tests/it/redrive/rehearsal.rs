//! Looking before sending: rehearsals, plans in files, and what became of what was sent.

use serde_json::{Value, json};

use super::{FAST, USER, athlete, detail, hobbyist};
use crate::endpoint::{Does, Endpoint};
use crate::support::Place;

fn some(entries: &[Value]) -> Place {
    let place = Place::new();
    let details: Vec<Value> = (1..=4).map(|n| detail(n, &format!("2026-02-0{n}T08:00:00Z"))).collect();
    place.land_details(USER, &details);
    place.land_details("u2", &details);
    place.prepare(entries);
    place
}

#[test]
fn a_rehearsal_says_what_the_pipeline_would_do_and_sends_and_remembers_nothing() {
    let place = some(&[athlete(USER), hobbyist("u2", 23, &["showcase"])]);
    let folder = place.folder.path().join("rehearsal");
    let sink = format!("rehearse:{}", folder.display());
    let report =
        || -> Value { serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap() };
    for _ in 0..2 {
        // Two of the hobbyist's syncs are left, so planning holds the others.
        let ended = place.run(&["redrive", "--sink", &sink, "--leave-syncs", "0"]).expect(75);
        assert!(
            ended.stderr.contains("6 messages would make 6 runs in 2 pipelines of 2 users"),
            "{}",
            ended.stderr
        );
        let report = report();
        assert_eq!(
            (&report["runs"], &report["out_of_order"], &report["repeated"]),
            (&json!(6), &json!(0), &json!(0))
        );
        assert_eq!(report["pipelines"]["u2"]["p1"]["uploads"], json!({"showcase": 2}));
        assert_eq!(report["dropped"], json!({}));
        assert_eq!(std::fs::read_to_string(folder.join("runs.jsonl")).unwrap().lines().count(), 6);
    }
    assert_eq!(place.redrive(&place.out(), &["--user", USER]).expect(0).json()["delivered"], 4);
}

#[test]
fn exactly_a_plan_that_was_looked_at_is_sent_unless_something_has_changed() {
    let place = some(&[athlete(USER), athlete("u2")]);
    let file = place.folder.path().join("plan.json");
    let file = file.to_str().unwrap();
    let plan = |more: &[&str]| {
        place.run(&[&["redrive", "--sink", &place.out(), "--plan", file], &FAST[..], more].concat()).expect(0)
    };
    let apply = || {
        place.run(&[&["redrive", "--sink", &place.out(), "--json"], &FAST[..], &["--apply", file]].concat())
    };
    plan(&["--limit", "3"]);
    assert!(place.lines().is_empty());
    assert_eq!(apply().expect(0).json()["delivered"], 3);
    // What was sent is not sent again, and nothing else is.
    assert_eq!(apply().expect(0).json()["attempts"], 0);
    plan(&[]);
    place.import(&format!("{}\n", hobbyist("u2", 25, &["showcase"])));
    let refused = apply().expect(2);
    assert!(refused.stderr.contains("the pipeline's exports"), "{}", refused.stderr);
    plan(&[]);
    place.land_details(USER, &[detail(9, "2026-03-01T08:00:00Z")]);
    place.run(&["normalize"]).expect(0);
    let refused = apply().expect(2);
    assert!(refused.stderr.contains("records"), "{}", refused.stderr);
    assert_eq!(place.lines().len(), 3);
}

#[test]
fn a_plan_that_was_edited_by_hand_sends_no_more_than_what_is_planned() {
    let place = some(&[athlete(USER), athlete("u2")]);
    let file = place.folder.path().join("plan.json");
    let redrive = |more: &[&str]| {
        place.run(&[&["redrive", "--sink", &place.out(), "--json"], &FAST[..], more].concat())
    };
    let plan = ["--plan", file.to_str().unwrap()];
    let apply = ["--apply", file.to_str().unwrap()];
    redrive(&plan).expect(0);
    let planned: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let messages = planned["messages"].as_array().unwrap();
    let write = |change: &dyn Fn(&mut Value)| {
        let mut edited = planned.clone();
        change(&mut edited);
        std::fs::write(&file, edited.to_string()).unwrap();
    };
    // Taken out, it does not go; written in or under another user, it is none that anybody planned.
    let made_up = json!({"user_id": USER, "execution_id": format!("{}-p1", uuid::Uuid::nil())});
    let of_another = json!({"user_id": "u2", "execution_id": messages[0]["execution_id"]});
    write(&|plan| plan["messages"] = json!([messages[0], made_up, of_another]));
    let done = redrive(&apply).expect(3);
    assert!(done.stderr.contains("2 messages of the plan did not go"), "{}", done.stderr);
    assert_eq!((&done.json()["delivered"], &done.json()["not_planned"]), (&json!(1), &json!(2)));
    for wrong in ["sink", "basis", "version", "messages", "content"] {
        write(&|plan| plan[wrong] = json!("something else"));
        redrive(&apply).expect(2);
    }
    std::fs::write(&file, &planned.to_string()[..100]).unwrap();
    let cut = redrive(&apply).expect(2);
    assert!(cut.stderr.contains("is not a plan of `redrive --plan`"), "{}", cut.stderr);
    assert_eq!(place.lines().len(), 1, "nothing went by any of those");
    std::fs::write(&file, planned.to_string()).unwrap();
    let done = redrive(&apply).expect(0).json();
    assert_eq!(done["delivered"].as_u64(), Some(messages.len() as u64 - 1), "{done}");
    assert_eq!((&done["not_planned"], &done["delivered_before"]), (&json!(0), &json!(1)));
}

#[test]
fn an_answer_since_the_last_dedupe_is_followed_before_anything_is_sent() {
    let place = some(&[athlete(USER), athlete("u2")]);
    place.run(&["dedupe", "decide", "--user", USER, "--pair", "strava:1", "strava:2", "different"]).expect(0);
    let ended = place.redrive(&place.out(), &[]).expect(2);
    assert!(ended.stderr.contains("records or answers have changed"), "{}", ended.stderr);
    place.run(&["dedupe"]).expect(0);
    assert_eq!(place.redrive(&place.out(), &[]).expect(0).json()["delivered"], 8);
}

#[test]
fn a_changed_record_goes_through_dedupe_before_it_is_sent() {
    let place = some(&[athlete(USER), athlete("u2")]);
    let mut changed = detail(1, "2026-02-01T08:00:00Z");
    changed["name"] = json!("Renamed Run");
    place.land_details(USER, &[changed]);
    place.run(&["normalize"]).expect(0);
    let ended = place.redrive(&place.out(), &[]).expect(2);
    assert!(ended.stderr.contains("records or answers have changed"), "{}", ended.stderr);
}

#[test]
fn status_says_what_was_sent_and_what_became_of_it() {
    let place = some(&[athlete(USER), athlete("u2")]);
    let nothing = place.run(&["redrive", "status"]).expect(0);
    assert!(nothing.stderr.contains("nothing was sent yet"), "{}", nothing.stderr);
    let endpoint = Endpoint::start(Box::new(|n| if n == 8 { Does::Answers(422) } else { Does::Takes }));
    let sink = format!("cloudevents:{}", endpoint.url());
    place.redrive(&sink, &[]).expect(3);
    let event: Value = serde_json::from_slice(&endpoint.taken()[0].body).unwrap();
    let run = json!({"user_id": event["data"]["user_id"], "id": event["id"], "source": "strava",
        "source_activity_id": event["data"]["activity_id"], "status": "synced"});
    place.import(&format!("{run}\n"));
    let status = place.run(&["redrive", "status", "--json"]).expect(0).json();
    let of_sink = &status[0];
    assert_eq!(
        (&of_sink["delivered"], &of_sink["rejected"], &of_sink["users"]),
        (&json!(7), &json!(1), &json!(2))
    );
    assert_eq!((&of_sink["runs"], &of_sink["not_seen"]), (&json!({"synced": 1}), &json!(6)), "{status}");
    let said = place.run(&["redrive", "status"]).expect(0);
    assert!(said.stderr.contains("1 synced, 6 in no export yet"), "{}", said.stderr);
}

#[test]
fn what_changed_since_it_was_delivered_is_listed_and_goes_again_only_on_request() {
    let place = some(&[athlete(USER), athlete("u2")]);
    let endpoint = Endpoint::start(Box::new(|_| Does::Takes));
    let sink = format!("cloudevents:{}", endpoint.url());
    place.redrive(&sink, &[]).expect(0);
    let sent = endpoint.taken().len();
    let changed_since =
        || place.run(&["redrive", "status", "--json"]).expect(0).json()[0]["changed_since"].clone();
    assert_eq!(changed_since(), json!([]));

    let mut changed = detail(1, "2026-02-01T08:00:00Z");
    changed["name"] = json!("Renamed Run");
    place.land_details(USER, &[changed]);
    place.run(&["normalize"]).expect(0);
    place.run(&["dedupe"]).expect(0);
    let listed = changed_since();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["record"]), (1, &json!("strava:1")), "{listed}");
    let said = place.run(&["redrive", "status"]).expect(0);
    assert!(said.stderr.contains("1 record has changed since it was delivered"), "{}", said.stderr);

    place.redrive(&sink, &[]).expect(0);
    assert_eq!(endpoint.taken().len(), sent, "nothing goes again by itself");
    place.redrive(&sink, &["--user", USER, "--again", "strava:1"]).expect(0);
    let taken = endpoint.taken();
    assert_eq!(taken.len(), sent + 1);
    let again: Value = serde_json::from_slice(&taken[sent].body).unwrap();
    assert_eq!(again["data"]["standardized_activity"]["name"], "Renamed Run", "{again}");
    assert_eq!(changed_since(), json!([]));
}

#[test]
fn a_preview_says_how_many_go_where_and_how_to_free_what_is_held() {
    let place = some(&[athlete(USER), hobbyist("u2", 24, &["showcase", "hevy"])]);
    let ended = place.run(&["redrive", "--sink", &place.out()]).expect(0);
    for said in [
        "8 workouts are owed; 4 of 1 user would go to file:",
        "pipeline p1: 4 messages",
        "users will see 4 uploads (4 to showcase)",
        "no export names the boosters of 4 runs",
        "tier athlete: 1 user would spend 4 syncs; its syncs have no limit",
        "held, writes_back: 4",
        "to send: --allow-write-back",
        "nothing was sent; --apply sends",
    ] {
        assert!(ended.stderr.contains(said), "{said} is missing in {}", ended.stderr);
    }
}

/// A user whose pipeline has these boosters, as FitGlue's own documents name them.
fn boosted(user: &str, tier: &str, boosters: &Value) -> Value {
    json!({"user_id": user, "tier": tier, "pipelines": [{"id": format!("of-{user}"), "source": "SOURCE_STRAVA",
        "destinations": ["DESTINATION_SHOWCASE"], "enrichers": boosters}]})
}

#[test]
fn a_preview_says_which_boosters_take_history_for_news_and_what_each_tier_spends() {
    let asking = json!([{"provider_type": "ENRICHER_PROVIDER_USER_INPUT", "typed_config": {"fields": "title"}},
        {"provider_type": 35}, {"provider_type": "ENRICHER_PROVIDER_WEATHER"}]);
    let strange = json!([{"providerType": "ENRICHER_PROVIDER_GOAL_TRACKER"}, {"provider_type": "ENRICHER_PROVIDER_NEW"}]);
    let place = some(&[boosted(USER, "athlete", &asking), boosted("u2", "hobbyist", &strange)]);
    let args = ["redrive", "--sink", &place.out(), "--leave-syncs", "0"];
    let ended = place.run(&args).expect(0);
    for said in [
        "boosters that ask: user_input in 4 runs; each run waits for an answer, and its user gets a push",
        "boosters that keep count: goal_tracker in 4 runs, streak_tracker in 4 runs; they have counted",
        "boosters that read the clock: goal_tracker in 4 runs; they take today for the day of the activity",
        "boosters that this longrun does not know: new in 4 runs",
        "tier athlete: 1 user would spend 4 syncs",
        "tier hobbyist: 1 user would spend 4 syncs of this month",
    ] {
        assert!(ended.stderr.contains(said), "{said} is missing in {}", ended.stderr);
    }
    assert!(
        !ended.stderr.contains("weather") && !ended.stderr.contains("no export names"),
        "{}",
        ended.stderr
    );
    let unordered = place.run(&[&args[..], &["--unordered"]].concat()).expect(0);
    assert!(unordered.stderr.contains("with --unordered they come out wrong"), "{}", unordered.stderr);
    // The report says the same, with what would go by month.
    let preview = place.run(&["report", "--json"]).expect(0).json()["pipeline"]["preview"]["Ok"].clone();
    assert_eq!(preview["boosters"]["ask"], json!({"user_input": 4}), "{preview}");
    assert_eq!((&preview["send"], &preview["months"]), (&json!(8), &json!({"2026-02": 8})));
    assert_eq!(preview["tiers"]["hobbyist"]["syncs"], 4);
}

#[test]
fn a_report_says_why_a_redrive_would_send_nothing() {
    let place = some(&[athlete(USER), athlete("u2")]);
    place.land_details(USER, &[detail(9, "2026-03-01T08:00:00Z")]);
    place.run(&["normalize"]).expect(0);
    let preview = place.run(&["report", "--json"]).expect(0).json()["pipeline"]["preview"].clone();
    assert!(preview["Err"].as_str().unwrap().contains("run it first"), "{preview}");
}
