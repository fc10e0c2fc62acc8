//! Which of a user's pipelines a workout goes to, and which of its records goes there.

use uuid::Uuid;

use super::message;
use super::plan::held::{Held, Reason};
use super::sinks::Carries;
use super::workouts::{Member, Workout};
use crate::fitglue::source_name;
use crate::fitglue::users::{Pipeline, User};
use crate::sources::Source;

/// What deliveries to all pipelines of a source at once are under.
const ALL_PIPELINES: &str = "live";

/// The way of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub pipeline_id: String,
    pub execution_id: String,
    pub destinations: Vec<String>,
}

/// The same id for the same user, record and pipeline, so that a repeat overwrites its run: a name-based UUID
/// (version 5), and the pipeline's own id behind it, as the pipeline does with the runs of a split activity.
pub fn execution_id(user_id: &str, source: Source, source_id: &str, pipeline_id: &str) -> String {
    // Ids may have any characters but this one.
    of_name(
        &format!("longrun/redrive\0{user_id}\0{}\0{source_id}\0{pipeline_id}", message::source(source)),
        pipeline_id,
    )
}

/// The id that a record's message had before the user was a part of it: two people with the same record had one.
fn earlier_execution_id(source: Source, source_id: &str, pipeline_id: &str) -> String {
    of_name(&format!("longrun/redrive/{}/{source_id}/{pipeline_id}", message::source(source)), pipeline_id)
}

fn of_name(name: &str, pipeline_id: &str) -> String {
    format!("{}-{pipeline_id}", Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

/// The pipeline that a message of this id went to.
pub fn pipeline_of(execution_id: &str) -> &str {
    const UUID_AND_DASH: usize = 37;
    execution_id.get(UUID_AND_DASH..).unwrap_or_default()
}

/// The ids that a record's message to a pipeline may have gone under: today's, and the earlier one.
pub fn ids_of(user_id: &str, member: &Member, pipeline_id: &str) -> [String; 2] {
    let (source, id) = (member.source, member.source_id.as_str());
    [execution_id(user_id, source, id, pipeline_id), earlier_execution_id(source, id, pipeline_id)]
}

/// Whether a message of this id was of a record, whichever of today's pipelines it went to.
pub fn is_of(sent_as: &str, user_id: &str, member: &Member) -> bool {
    ids_of(user_id, member, pipeline_of(sent_as)).iter().any(|id| id == sent_as)
}

type Routed<'a> = Result<(&'a Member, Route), Held>;

/// Routes a workout to a sink that carries this much.
pub fn route<'a>(
    workout: &'a Workout,
    user_id: &str,
    user: &User,
    carries: Carries,
    wanted: Option<&str>,
    allow_write_back: bool,
) -> Routed<'a> {
    let (member, pipeline) = match carries {
        Carries::Message => to_one(workout, user, wanted)?,
        Carries::IdOf(source) => to_all(workout, user, source)?,
    };
    check_write_back(&pipeline, allow_write_back)?;
    let execution_id = execution_id(user_id, member.source, &member.source_id, &pipeline.id);
    Ok((member, Route { pipeline_id: pipeline.id, execution_id, destinations: pipeline.destinations }))
}

/// The way of a message that went before, or may have.
pub fn route_again<'a>(
    member: &'a Member,
    user: &User,
    execution_id: &str,
    allow_write_back: bool,
) -> Option<Routed<'a>> {
    let id = pipeline_of(execution_id);
    let pipeline = user.pipelines.iter().find(|p| p.id == id && !p.is_disabled)?;
    let route = Route {
        pipeline_id: pipeline.id.clone(),
        execution_id: execution_id.to_string(),
        destinations: pipeline.destinations.clone(),
    };
    Some(check_write_back(pipeline, allow_write_back).map(|()| (member, route)))
}

fn none(why: String) -> Held {
    Held::new(Reason::NoPipeline, why)
}

/// The first record that exactly one enabled pipeline takes, or that the named pipeline takes.
fn to_one<'a>(
    workout: &'a Workout,
    user: &User,
    wanted: Option<&str>,
) -> Result<(&'a Member, Pipeline), Held> {
    let members: Vec<&Member> = sendable(workout)?;
    let takes = |pipeline: &Pipeline, member: &Member| pipeline.source == source_name(member.source);
    let sources = || members.iter().map(|m| source_name(m.source)).collect::<Vec<_>>().join(", ");
    if let Some(id) = wanted {
        let pipeline = user.pipelines.iter().find(|p| p.id == id);
        let pipeline = pipeline.ok_or_else(|| none(format!("the user has no pipeline {id:?}")))?;
        if pipeline.is_disabled {
            return Err(none(format!("pipeline {id:?} is disabled, and what is sent to it would vanish")));
        }
        let nobody = || {
            none(format!("pipeline {id:?} takes {}, and this workout is from {}", pipeline.source, sources()))
        };
        let member = members.iter().find(|member| takes(pipeline, member)).ok_or_else(nobody)?;
        return Ok((member, pipeline.clone()));
    }
    for member in &members {
        let mut taking = user.pipelines.iter().filter(|p| !p.is_disabled && takes(p, member));
        match (taking.next(), taking.next()) {
            (Some(_), Some(_)) => {
                let source = source_name(member.source);
                return Err(none(format!("more than one pipeline takes {source}; name one with --pipeline")));
            }
            (Some(pipeline), None) => return Ok((member, pipeline.clone())),
            _ => {}
        }
    }
    Err(none(format!("no enabled pipeline takes {}", sources())))
}

/// All enabled pipelines of a source at once.
fn to_all<'a>(workout: &'a Workout, user: &User, source: Source) -> Result<(&'a Member, Pipeline), Held> {
    let members = sendable(workout)?;
    let member = members.into_iter().find(|m| m.source == source).ok_or_else(|| {
        Held::new(Reason::OtherSource, format!("the sink takes activities of {source} only, by their ids"))
    })?;
    let taking = || user.pipelines.iter().filter(|p| !p.is_disabled && p.source == source_name(source));
    if taking().next().is_none() {
        return Err(none(format!("no enabled pipeline takes {}", source_name(source))));
    }
    let destinations = taking().flat_map(|pipeline| pipeline.destinations.iter().cloned()).collect();
    let id = ALL_PIPELINES.to_string();
    Ok((member, Pipeline { id, destinations, ..Pipeline::default() }))
}

/// The boosters of the pipelines that a message of a source goes to; None where an export does not say.
pub fn boosters_of(user: &User, pipeline_id: &str, source: Source) -> Option<Vec<String>> {
    let is_taking = |pipeline: &&Pipeline| match pipeline_id {
        ALL_PIPELINES => !pipeline.is_disabled && pipeline.source == source_name(source),
        id => pipeline.id == id,
    };
    let of_each: Option<Vec<&Vec<String>>> =
        user.pipelines.iter().filter(is_taking).map(|pipeline| pipeline.boosters.as_ref()).collect();
    Some(of_each?.into_iter().flatten().cloned().collect())
}

/// The records that may be sent: those of the whole workout that are not the pipeline's own.
fn sendable(workout: &Workout) -> Result<Vec<&Member>, Held> {
    let whole: Vec<&Member> = workout.members.iter().filter(|m| m.is_same && !m.is_echo).collect();
    if whole.is_empty() {
        return Err(none("no record is of the whole workout but the pipeline's own".to_string()));
    }
    let there: Vec<&Member> = whole.into_iter().filter(|m| !m.is_gone).collect();
    if there.is_empty() {
        let why = "its source no longer has it: it was deleted or hidden there";
        return Err(Held::new(Reason::Gone, why));
    }
    Ok(there)
}

fn check_write_back(pipeline: &Pipeline, is_allowed: bool) -> Result<(), Held> {
    match pipeline.writes_back_to().filter(|_| !is_allowed) {
        Some(destination) => Err(Held::new(
            Reason::WritesBack,
            format!(
                "pipeline {:?} writes to {destination}, which is a source, too; --allow-write-back sends it all the same",
                pipeline.id
            ),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitglue::users::Tier;
    use jiff::Timestamp;

    fn user(pipelines: Vec<Pipeline>) -> User {
        User { tier: Some(Tier::Athlete), syncs_used: 0, written_s: 0, pipelines }
    }

    fn pipeline(id: &str, source: &str, destinations: &[&str]) -> Pipeline {
        Pipeline {
            id: id.to_string(),
            source: source.to_string(),
            destinations: destinations.iter().map(|d| (*d).to_string()).collect(),
            is_disabled: false,
            boosters: Some(vec!["weather".to_string()]),
        }
    }

    fn member(source: Source) -> Member {
        Member {
            source,
            source_id: "7".to_string(),
            is_same: true,
            start_s: 0,
            elapsed_s: Some(1.0),
            is_echo: false,
            is_gone: false,
            row: (0, 0),
        }
    }

    fn workout(members: Vec<Member>) -> Workout {
        Workout {
            golden_id: "g".to_string(),
            start: Timestamp::UNIX_EPOCH,
            sport: None,
            title: None,
            members,
        }
    }

    #[test]
    fn an_execution_id_is_the_same_for_ever() {
        // Pinned: another one would make a second run of everything that was ever sent.
        assert_eq!(
            execution_id("u1", Source::Strava, "123", "p1"),
            "f61a1f53-1294-5cbf-9bd5-088e5c76d355-p1"
        );
        assert_eq!(
            earlier_execution_id(Source::Strava, "123", "p1"),
            "797b8c7e-3aa7-5af5-844f-b32fca494b35-p1"
        );
        let id = |user: &str, source, pipeline: &str| execution_id(user, source, "123", pipeline);
        let all = [
            id("u1", Source::Strava, "p1"),
            id("u2", Source::Strava, "p1"),
            id("u1", Source::Hevy, "p1"),
            id("u1", Source::Strava, "p2"),
        ];
        assert_eq!(std::collections::HashSet::from(all).len(), 4, "two people have two ids of one record");
    }

    #[test]
    fn a_message_is_known_by_its_record_whatever_its_pipeline_is_called_now() {
        let strava = member(Source::Strava);
        let id = execution_id("u", Source::Strava, "7", "long-gone");
        assert!(is_of(&id, "u", &strava) && !is_of(&id, "v", &strava));
        assert!(!is_of(&id, "u", &member(Source::Hevy)));
        assert!(is_of(&earlier_execution_id(Source::Strava, "7", "p-1"), "u", &strava));
        assert_eq!(pipeline_of(&id), "long-gone");
    }

    #[test]
    fn a_workout_goes_to_the_one_pipeline_that_takes_it() {
        let both = workout(vec![member(Source::Strava), member(Source::Hevy)]);
        let show = || pipeline("p1", "strava", &["showcase"]);
        let of = |pipelines: Vec<Pipeline>, wanted: Option<&str>, allow: bool| {
            route(&both, "u", &user(pipelines), Carries::Message, wanted, allow)
                .map(|(member, route)| format!("{} {}", member.source, route.pipeline_id))
                .map_err(|held| held.reason)
        };
        assert_eq!(of(vec![show()], None, false), Ok("strava p1".to_string()));
        assert_eq!(of(vec![pipeline("h", "hevy", &[])], None, false), Ok("hevy h".to_string()));
        let two = || vec![show(), pipeline("p2", "strava", &[])];
        assert_eq!(of(two(), None, false), Err(Reason::NoPipeline));
        assert_eq!(of(two(), Some("p2"), false), Ok("strava p2".to_string()));
        assert_eq!(of(vec![show()], Some("p9"), false), Err(Reason::NoPipeline));
        assert_eq!(of(vec![pipeline("f", "fitbit", &[])], None, false), Err(Reason::NoPipeline));
        let disabled = vec![Pipeline { is_disabled: true, ..show() }];
        assert_eq!(of(disabled, Some("p1"), false), Err(Reason::NoPipeline));
        let back = || vec![pipeline("w", "strava", &["showcase", "hevy"])];
        assert_eq!(of(back(), None, false), Err(Reason::WritesBack));
        assert_eq!(of(back(), None, true), Ok("strava w".to_string()));
    }

    #[test]
    fn an_id_goes_to_all_pipelines_of_its_source() {
        let both = workout(vec![member(Source::Strava), member(Source::Hevy)]);
        let three = user(vec![
            pipeline("p1", "strava", &["showcase"]),
            pipeline("p2", "strava", &["github"]),
            pipeline("h", "hevy", &["x"]),
        ]);
        let carries = Carries::IdOf(Source::Strava);
        let (_, all) = route(&both, "u", &three, carries, None, false).unwrap();
        assert_eq!(all.destinations, ["showcase", "github"]);
        let hevy = workout(vec![member(Source::Hevy)]);
        assert_eq!(route(&hevy, "u", &three, carries, None, false).unwrap_err().reason, Reason::OtherSource);
    }

    #[test]
    fn echoes_and_what_its_source_no_longer_has_are_never_sent() {
        let user = user(vec![pipeline("p1", "strava", &[])]);
        let of = |member: Member| {
            route(&workout(vec![member]), "u", &user, Carries::Message, None, false).unwrap_err().reason
        };
        assert_eq!(of(Member { is_echo: true, ..member(Source::Strava) }), Reason::NoPipeline);
        assert_eq!(of(Member { is_gone: true, ..member(Source::Strava) }), Reason::Gone);
    }
}
