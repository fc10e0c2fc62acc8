//! What the source said of an activity, to the byte, from the landing.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::error::Result;
use crate::sources::formats::json;
use crate::sources::strava::endpoints::DETAIL;
use crate::store::backend::Key;
use crate::store::lake::{Bucket, Lake};
use crate::store::landing::{self, Ask, Frames, Piece, Position};

/// Where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub segment: Key,
    pub offset: u64,
    /// In a list; None where it is the whole body.
    pub index: Option<usize>,
}

/// The newest whole bodies of these activities (user, id) in a bucket's landing.
pub fn details(
    lake: &Lake,
    bucket: Bucket,
    wanted: &HashSet<(String, String)>,
) -> Result<HashMap<(String, String), Original>> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    for piece in Frames::open(lake, bucket, Position::default())? {
        let Piece::Frame(frame) = piece? else { continue };
        // A frame that cannot be opened is a reject of `normalize`, and nobody's body.
        let Ok((header, _)) = frame.open() else { continue };
        if let Ask::OfActivity { kind, id, .. } = header.ask
            && kind == DETAIL.kind
            && header.status == 200
        {
            let key = (header.user_id, id);
            if wanted.contains(&key) {
                let offset = frame.offset;
                let original = Original { segment: Key::clone(&frame.segment), offset, index: None };
                found.insert(key, original);
            }
        }
    }
    Ok(found)
}

/// The place that a row's `raw_ref` names in the landing; None where it names an archive.
pub fn of_reference(raw_ref: &str) -> Option<Original> {
    let (place, index) = raw_ref.rsplit_once('#')?;
    let (file, offset) = place.rsplit_once('@')?;
    Some(Original {
        segment: Key::parse(file)?,
        offset: offset.parse().ok()?,
        index: Some(index.parse().ok()?),
    })
}

/// Reads bodies, verbatim. Neighbours in a list come from one reading of it.
#[derive(Debug, Default)]
pub struct Reader {
    last: Option<(Key, u64)>,
    body: Vec<u8>,
    /// Of a list, where its elements stand that can be read.
    elements: Option<Vec<Option<Range<usize>>>>,
}

impl Reader {
    /// What was said of a user's activity. An error says why it is not there.
    pub fn read(
        &mut self,
        lake: &Lake,
        original: &Original,
        user_id: &str,
        source_id: &str,
    ) -> Result<&str, String> {
        let gone = |what: &str| {
            let name = original.segment.file_name();
            format!("what Strava said of it is not in {name} at byte {} any more: {what}", original.offset)
        };
        let place = (original.segment.clone(), original.offset);
        if self.last.as_ref() != Some(&place) {
            self.last = None;
            let frame =
                landing::frame_at(lake, &original.segment, original.offset).map_err(|e| e.to_string())?;
            let frame = frame.ok_or_else(|| gone("it was purged"))?;
            let (header, body) = frame.open().map_err(|e| gone(&e.to_string()))?;
            let is_of_another = matches!(&header.ask, Ask::OfActivity { id, .. } if id != source_id);
            if is_of_another || header.user_id != user_id {
                return Err(gone("something else stands there"));
            }
            let elements = json::is_list(&body).then(|| json::element_ranges(&body));
            self.elements = elements.transpose().map_err(|e| gone(&e))?;
            self.body = body;
            self.last = Some(place);
        }
        let original = match (original.index, &self.elements) {
            (Some(index), Some(elements)) => {
                let range = elements.get(index).ok_or_else(|| gone("the list is shorter"))?;
                &self.body[range.clone().ok_or_else(|| gone("it cannot be read"))?]
            }
            _ => &self.body,
        };
        str::from_utf8(original).map_err(|_| gone("it is no text"))
    }
}
