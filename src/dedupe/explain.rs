//! Why two records are or are not one workout, in sentences, with every number behind it.

use std::fmt::Write;

use jiff::{SignedDuration, Timestamp};

use super::Thresholds;
use super::levels::{COMPARISONS, IDENTITY, TIME, level_name, number};
use super::link::Linked;
use super::placed::{Placed, Why};
use super::record::{Quality, Record};
use super::relation;
use super::scored::{Decision, Reason, Scored};
use super::weights::Weights;

/// The explanation of a pair of one person's records, by their places.
pub fn explain(
    records: &[Record],
    linked: &Linked,
    (one, other): (usize, usize),
    weights: &Weights,
    thresholds: Thresholds,
) -> String {
    let pair = super::block::pair(records, one, other);
    let scored = linked.pairs.iter().find(|scored| scored.pair == pair);
    let (a, b) = (&records[pair.a], &records[pair.b]);
    let share_a_group = linked
        .groups
        .iter()
        .any(|group| [pair.a, pair.b].iter().all(|at| group.members.iter().any(|(member, _)| member == at)));
    let mut text = format!("{} and {} {}.\n\n", a.name(), b.name(), verdict(scored, share_a_group));
    for at in [pair.a, pair.b] {
        writeln!(text, "{}", described(&records[at], &linked.placed[at])).expect("memory");
    }
    text.push('\n');
    let (of_a, of_b) = (&linked.placed[pair.a], &linked.placed[pair.b]);
    let Some(scored) = scored else {
        let apart_s = (of_b.start_s - of_a.start_s).abs();
        write!(
            text,
            "They were not compared: they start {} apart, and no wrong clock, zone or typed-in time brings them \
             together.\nTo join them all the same: longrun dedupe decide --pair {} {} same",
            span(apart_s),
            a.name(),
            b.name()
        )
        .expect("memory");
        return text;
    };
    let shared_s =
        relation::overlap_s(of_a.span(), (of_b.start_s - scored.clock_s, of_b.end_s() - scored.clock_s));
    writeln!(
        text,
        "{} They share {} of {} and {}.",
        in_time(scored),
        span(shared_s),
        span(of_a.length_s),
        span(of_b.length_s)
    )
    .expect("memory");
    if scored.clock_s != 0 {
        writeln!(
            text,
            "Around that day the clock of {} runs {} s ahead of that of {}.",
            b.source, scored.clock_s, a.source
        )
        .expect("memory");
    }
    text.push('\n');
    writeln!(text, "{:+6.1} bits  before anything is compared", weights.prior_bits()).expect("memory");
    for (at, comparison) in COMPARISONS.iter().enumerate() {
        let level = scored.pattern[at];
        let Some(name) = level_name(at, level) else {
            writeln!(text, "   0.0 bits  {}: one of them does not say", comparison.name).expect("memory");
            continue;
        };
        let values = values(at, a, b).map(|values| format!(" ({values})")).unwrap_or_default();
        let mut bits = weights.bits(at, level);
        if at == TIME {
            bits += scored.circumstances_bits;
        }
        writeln!(text, "{bits:+6.1} bits  {}: {}{values}", comparison.name, name.replace('_', " "))
            .expect("memory");
    }
    let odds = scored.bits.clamp(-60.0, 60.0).exp2();
    let odds =
        if odds >= 1.0 { format!("{odds:.0} to 1 for") } else { format!("{:.0} to 1 against", 1.0 / odds) };
    writeln!(text, "{:+6.1} bits  together: {odds} one workout\n", scored.bits).expect("memory");
    text += &what_would_change(a, b, scored, weights, thresholds);
    text
}

fn verdict(scored: Option<&Scored>, share_a_group: bool) -> &'static str {
    let Some(scored) = scored else {
        return if share_a_group { "are one workout, through other records" } else { "are two workouts" };
    };
    match (scored.decision, scored.reason) {
        (Decision::Match, Reason::Person) => "are one workout, because somebody said so",
        (Decision::NoMatch, Reason::Person) => "are two workouts, because somebody said so",
        (Decision::Match, Reason::Group) => "are one workout, through other records",
        (Decision::Match, Reason::Part) => "are one workout: one of them is a part of the other",
        (Decision::Match, Reason::Copy) => "are one workout, told twice by one source",
        (Decision::Match, _) => "are one workout",
        (Decision::Review, Reason::Rivals) => {
            "are for somebody to look at: another record fits about as well"
        }
        (Decision::Review, Reason::Conflict) => {
            "are for somebody to look at: joining them would join records that cannot be one"
        }
        (Decision::Review, Reason::Copy) => {
            "are for somebody to look at: two devices of one person, or two people on one account"
        }
        (Decision::Review, _) => "are for somebody to look at: the records do not say enough",
        (Decision::NoMatch, Reason::Assigned) => "are two workouts: another record fits better",
        (Decision::NoMatch, _) => "are two workouts",
    }
}

fn described(r: &Record, placed: &Placed) -> String {
    let mut text = format!("{}: ", r.name());
    text += match r.quality {
        Quality::Hidden => "on the day of ",
        Quality::ZoneUnknown => "at local time ",
        _ => "at ",
    };
    text += &time(r.start_s);
    if let Some(seconds) = r.elapsed_s {
        write!(text, ", {}", span(seconds as i64)).expect("memory");
    }
    if let Some(metres) = r.distance_m {
        write!(text, ", {:.2} km", metres / 1000.0).expect("memory");
    }
    if let Some(sport) = r.sport {
        write!(text, ", {}", sport.name.replace('_', " ")).expect("memory");
    }
    if placed.is_by_hand {
        text += ", typed in as it seems";
    }
    text.push('.');
    let moved_s = placed.start_s - r.start_s;
    if moved_s != 0 {
        let by = if moved_s < 0 { "earlier" } else { "later" };
        let why = match placed.why {
            Why::LocalTime => "it gives local time without a zone, and that day's zone is known",
            Why::Answered => "somebody said in which zone its clock was",
            Why::Copy => {
                "it is as long to the second as what starts there, at the same minute and second of another hour"
            }
            Why::EndForStart => "around that day its source stamps ends as starts",
            Why::Clock | Why::Told => {
                "around that day its clock or zone is off by this, as its neighbours show"
            }
        };
        write!(text, " Taken to start {} {by}: {why}.", span(moved_s.abs())).expect("memory");
    }
    text
}

fn in_time(scored: &Scored) -> &'static str {
    match level_name(TIME, scored.pattern[TIME]).unwrap_or_default() {
        "same" => "They start and end at the same second.",
        "aligned" | "close" => "They start and end together.",
        "loose" => "They start and end within minutes of each other.",
        "slid" => "They overlap and last equally long: one was put earlier or later.",
        "starts" => "They start together, and one ends earlier.",
        "ends" => "They end together, and one starts later.",
        "contained" => "One lies within the other and is most of it.",
        "piece" => "One is a small piece of the time of the other.",
        "sequence" => "One is one of several that follow each other within the other.",
        "overlap" => "They overlap for most of the shorter one.",
        "company" => "They overlap, but somebody else recorded at that time with the account of one of them.",
        "partly" => "They overlap for a part of the shorter one.",
        "touch" => "They hardly touch.",
        "zone" => "They lie apart by that day's offset from UTC, and last equally long.",
        "hour" | "quarter" => "They lie apart by what a zone can be off, and last equally long.",
        "end_for_start" => "One starts when the other ends, and they last equally long.",
        "end_alone" => {
            "One starts when the other ends, they last equally long, and neither has another that it could be."
        }
        "moved" => "They lie apart, and last equally long.",
        "hour_alone" => {
            "They lie apart by what a zone can be off, last equally long, and neither has another that it could be."
        }
        "moved_alone" => "They lie apart, last equally long, and neither has another that it could be.",
        "stray" => "They lie apart on one day, and neither has another that it could be.",
        "stray_by_hand" => "One was typed in, and hardly anything else of that day could be it.",
        "day" => "Of one only the day is known, and both sizes agree.",
        "day_one" => "Of one only the day is known, and one of its sizes agrees.",
        "day_alone" => "Of one only the day is known, and nothing else of that day fits.",
        "day_only" => "Of one only the day is known, and its sizes are others.",
        _ => "They have nothing to do with each other in time.",
    }
}

/// What was compared, with its units.
fn values(comparison: usize, a: &Record, b: &Record) -> Option<String> {
    match COMPARISONS[comparison].name {
        "distance" => {
            let (one, other) = a.distance_m.zip(b.distance_m)?;
            let share = (one - other).abs() / one.max(other) * 100.0;
            Some(format!("{:.2} km and {:.2} km, {share:.1} % apart", one / 1000.0, other / 1000.0))
        }
        "sport" => {
            Some(format!("{} and {}", a.sport?.name.replace('_', " "), b.sport?.name.replace('_', " ")))
        }
        "track" => {
            let share = |from: &Record, to: &Record| from.footprint.share_within(&to.footprint) * 100.0;
            Some(format!(
                "{:.0} % of the first lies on the second, {:.0} % of the second on the first",
                share(a, b),
                share(b, a)
            ))
        }
        "effort" => match (a.heart_rate_bpm.zip(b.heart_rate_bpm), a.calories_kcal.zip(b.calories_kcal)) {
            (Some((one, other)), _) => Some(format!("{one:.0} and {other:.0} beats per minute")),
            (None, Some((one, other))) => Some(format!("{one:.0} and {other:.0} kcal")),
            _ => None,
        },
        _ => None,
    }
}

/// How far the pair is from another decision, and what would bring it there.
fn what_would_change(
    a: &Record,
    b: &Record,
    scored: &Scored,
    weights: &Weights,
    thresholds: Thresholds,
) -> String {
    let (match_bits, review_bits) = (thresholds.match_odds.log2(), thresholds.review_odds.log2());
    let mut text = if scored.bits >= match_bits {
        format!("It is {:.1} bits above a match ({:.1}).", scored.bits - match_bits, match_bits)
    } else {
        let mut text = format!("It lacks {:.1} bits for a match ({match_bits:.1})", match_bits - scored.bits);
        if scored.bits < review_bits {
            write!(text, " and {:.1} for a look ({review_bits:.1})", review_bits - scored.bits)
                .expect("memory");
        }
        text.push('.');
        text
    };
    let best = |comparison: usize| {
        let levels = 0..COMPARISONS[comparison].levels.len() as u8;
        levels.map(|level| (weights.bits(comparison, level), level)).max_by(|x, y| x.0.total_cmp(&y.0))
    };
    let gains: Vec<String> = (0..COMPARISONS.len())
        .filter(|at| *at != TIME && *at != IDENTITY)
        .filter_map(|at| {
            let (bits, level) = best(at)?;
            let gain = bits - weights.bits(at, scored.pattern[at]);
            let enough = scored.bits < match_bits && scored.bits + gain >= match_bits;
            enough.then(|| {
                format!("{} {} ({gain:+.1})", level_name(at, level).unwrap_or_default(), COMPARISONS[at].name)
            })
        })
        .collect();
    if !gains.is_empty() {
        write!(text, " Any of these would do: {}.", gains.join(", ")).expect("memory");
    }
    if scored.pattern[IDENTITY] == number(IDENTITY, "another") {
        text += " One of them names another record as its origin.";
    }
    let answer = if scored.decision == Decision::Match { "different" } else { "same" };
    write!(text, "\nTo decide otherwise: longrun dedupe decide --pair {} {} {answer}", a.name(), b.name())
        .expect("memory");
    text
}

fn time(seconds: i64) -> String {
    let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As people say it: `1 h 05 min`, `12 min`, `40 s`.
fn span(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}
