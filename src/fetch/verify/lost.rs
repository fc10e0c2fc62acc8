//! What rows were made from and landing has no more. Rows outlive that, but whoever makes them anew would miss it, so
//! it is to be fetched again; what a fetch has brought since is no loss.

use std::collections::{BTreeMap, HashMap, HashSet};

use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

use crate::error::Result;
use crate::sources::strava;
use crate::sources::strava::endpoints::{self, Depth, OF_ACTIVITIES, list};
use crate::sources::strava::history::Sound;
use crate::sources::strava::walk::Wanted;
use crate::store::dataset::{self, cells::Rows};
use crate::store::lake::{Bucket, Lake};
use crate::store::landing;
use crate::store::names;

/// What the API's answers brought of activities, as the rows of a bucket have it.
#[derive(Debug, Default)]
pub struct Told {
    /// Every activity, also one that only an archive had: user and id.
    pub activities: HashSet<(String, String)>,
    /// Activities that are not gone, each with the kind of an answer that it has rows of.
    answers: Vec<(&'static str, String, String)>,
    /// How far into each segment rows lie.
    reach: BTreeMap<String, u64>,
}

impl Told {
    pub fn read(lake: &Lake, bucket: Bucket) -> Result<Told> {
        let mut told = Told::default();
        let folder = format!("{}/", names::landing_folder().as_str());
        let key = lake.activities(strava::SOURCE, bucket);
        for batch in
            dataset::read(lake, &key, Some(&["user_id", "source_id", "detail_at", "gone_at", "raw_ref"]))?
        {
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let (user_id, id) = (rows.text("user_id", row), rows.text("source_id", row));
                told.activities.insert((user_id.clone(), id.clone()));
                if rows.time("gone_at", row).is_some() || !told.lies_in(&folder, &rows.text("raw_ref", row)) {
                    continue;
                }
                if rows.time("detail_at", row).is_some() {
                    told.answers.push((endpoints::DETAIL.kind, user_id.clone(), id.clone()));
                }
                told.answers.push((list::ENDPOINT.kind, user_id, id));
            }
        }
        let there: HashSet<(String, String)> =
            told.answers.iter().map(|(_, user_id, id)| (user_id.clone(), id.clone())).collect();
        // One that was moved to another year by a run that was killed stands twice.
        let mut sampled = HashSet::new();
        for key in dataset::streams(lake, strava::SOURCE, bucket)? {
            for batch in dataset::read(lake, &key, Some(&["user_id", "source_id", "raw_ref"]))? {
                let rows = Rows(&batch);
                for row in 0..batch.num_rows() {
                    let activity = (rows.text("user_id", row), rows.text("source_id", row));
                    if there.contains(&activity)
                        && told.lies_in(&folder, &rows.text("raw_ref", row))
                        && sampled.insert(activity.clone())
                    {
                        told.answers.push((endpoints::STREAMS.kind, activity.0, activity.1));
                    }
                }
            }
        }
        Ok(told)
    }

    /// Whether a row was made from landing.
    fn lies_in(&mut self, folder: &str, raw_ref: &str) -> bool {
        let Some((segment, place)) = raw_ref.split_once('@').filter(|_| raw_ref.starts_with(folder)) else {
            return false;
        };
        let offset = place.split('#').next().and_then(|offset| offset.parse().ok()).unwrap_or(0);
        let reach = self.reach.entry(segment.to_string()).or_default();
        *reach = offset.max(*reach);
        true
    }

    /// Segments that are gone, or end before something that rows were made from.
    pub fn gone(&self, lake: &Lake, bucket: Bucket) -> Result<Vec<String>> {
        let segments = landing::segments(lake, bucket)?;
        let bytes: HashMap<&str, u64> =
            segments.iter().map(|segment| (segment.key.as_str(), segment.bytes)).collect();
        let gone = self.reach.iter().filter_map(|(segment, offset)| match bytes.get(segment.as_str()) {
            None => Some(format!("{segment}: it is gone, and rows were made from it")),
            Some(bytes) if bytes <= offset => Some(format!(
                "{segment}: it ends at byte {bytes}, and rows were made from what lay behind that"
            )),
            Some(_) => None,
        });
        Ok(gone.collect())
    }

    /// What a fetch has to bring again, a sentence for each user.
    pub fn lost(&self, sound: &Sound) -> Vec<String> {
        let now = Timestamp::now();
        let wanted = Wanted::new(Depth::Streams, now, SignedDuration::MAX, None);
        let mut known: HashMap<&str, HashSet<CompactString>> = HashMap::new();
        let mut owed: HashSet<(&str, &str, CompactString)> = HashSet::new();
        let mut lost: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((user_id, _), progress) in &sound.of {
            known.entry(user_id).or_default().extend(progress.ids());
            for index in 0..OF_ACTIVITIES {
                let kind = endpoints::of_activities(index).kind;
                let ids = progress.owed(index, &wanted, now).into_iter();
                owed.extend(ids.map(|owed| (kind, user_id.as_str(), CompactString::from(&*owed.id))));
            }
            // A list in doubt was walked to its end, and is walked again without this.
            let is_whole = progress.whole_at().is_some() || progress.doubt().is_some();
            if !progress.is_walked() || !is_whole {
                lost.entry(user_id).or_default().insert(list::ENDPOINT.kind, 1);
            }
        }
        for (kind, user_id, id) in &self.answers {
            let id = CompactString::from(id.as_str());
            let is_known = known.get(user_id.as_str()).is_some_and(|known| known.contains(&id));
            if is_known && !owed.contains(&(*kind, user_id.as_str(), id)) {
                continue;
            }
            *lost.entry(user_id).or_default().entry(kind).or_default() += 1;
        }
        let said = |(user_id, kinds): (&str, BTreeMap<&str, u64>)| {
            let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            format!("user {user_id}: landing has no more what was known of them ({})", kinds.join(", "))
        };
        lost.into_iter().map(said).collect()
    }
}
