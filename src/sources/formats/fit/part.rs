//! One file of a chain: its messages, gathered as far as they can be read.

use super::decode::{Definition, Descriptions, Message, crc, definition};
use super::session::{Session, lap, session, sums_of_lap};
use super::{decode, heart_rates, is_time, names};
use crate::model::activity::{ExerciseSet, Lap};
use crate::sources::formats::recording::{Sample, Unread, room_for};

const RECORD: u16 = 20;

/// What the messages of one file say.
#[derive(Default)]
pub struct Part {
    pub file_type: Option<i64>,
    manufacturer: Option<i64>,
    product: Option<i64>,
    product_name: Option<String>,
    pub serial: Option<i64>,
    pub utc_offset_s: Option<i32>,
    pub sport: (Option<i64>, Option<i64>),
    pub sessions: Vec<Session>,
    pub laps: Vec<Lap>,
    /// What each lap says, as a session says it.
    pub lap_sums: Vec<Session>,
    pub samples: Vec<Sample>,
    pub heart_rates: heart_rates::HeartRates,
    pub sets: Vec<(i64, ExerciseSet)>,
    pub unread: Unread,
    pub partial: Option<String>,
    pub(super) last_time_s: i64,
    pub(super) compressed_distance: Option<(u32, f64)>,
    /// Which stretch between pauses is being recorded.
    pub(super) stretch: u32,
    descriptions: Descriptions,
}

impl Part {
    /// Reads as far as it goes. Returns the bytes taken.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let header = usize::from(bytes[0]);
        if header < 12 || header > bytes.len() {
            self.partial = Some(format!("the header says that it has {header} bytes"));
            return bytes.len();
        }
        let said = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
        let there = bytes.len() - header;
        // A recorder that died left 0, or more than it came to write.
        let (data, mut end) = if said == 0 {
            (there, bytes.len())
        } else if said > there {
            self.partial = Some(format!("the file is cut: {there} of {said} bytes are there"));
            (there, bytes.len())
        } else {
            (said, header + said)
        };
        if said == 0 {
            self.partial = Some("the header says that there are 0 bytes".to_string());
        } else if end + 2 <= bytes.len() {
            if crc(&bytes[..end]) != u16::from_le_bytes([bytes[end], bytes[end + 1]]) {
                self.partial = Some("the checksum is not that of the bytes".to_string());
            }
            end += 2;
        } else if self.partial.is_none() {
            self.partial = Some("the checksum is missing".to_string());
        }
        if let Err(reason) = self.read_messages(&bytes[header..header + data], header) {
            self.partial = Some(reason);
        }
        end
    }

    fn read_messages(&mut self, bytes: &[u8], header: usize) -> Result<(), String> {
        let mut definitions: [Option<Definition>; 16] = Default::default();
        let mut at = 0;
        while at < bytes.len() {
            let place = |at: usize| format!("at byte {} of the file", header + at);
            let head = bytes[at];
            at += 1;
            let is_compressed = head & 0x80 != 0;
            if !is_compressed && head & 0x40 != 0 {
                let local = usize::from(head & 0x0f);
                let (definition, length) = definition(&bytes[at..], head & 0x20 != 0, &self.descriptions)
                    .ok_or_else(|| format!("a definition is cut {}", place(at)))?;
                definitions[local] = Some(definition);
                at += length;
                continue;
            }
            let local = usize::from(if is_compressed { head >> 5 & 0x03 } else { head & 0x0f });
            let definition = definitions[local]
                .as_ref()
                .ok_or_else(|| format!("local message {local} is not defined {}", place(at - 1)))?;
            let end = at + definition.size;
            if definition.message == RECORD && self.samples.capacity() == 0 {
                self.samples.reserve(room_for(bytes.len().saturating_sub(at), definition.size + 1));
            }
            let Some(bytes) = bytes.get(at..end) else {
                return Err(format!("a message is cut {}", place(at)));
            };
            let time_s = is_compressed.then(|| {
                let offset = i64::from(head & 0x1f);
                let since = (offset - self.last_time_s).rem_euclid(32);
                self.last_time_s + since
            });
            self.take(Message { definition, bytes }, time_s);
            at = end;
        }
        Ok(())
    }

    fn take(&mut self, message: Message<'_>, compressed_time_s: Option<i64>) {
        if let Some(time_s) = compressed_time_s {
            self.last_time_s = time_s;
        } else if let Some(time_s) = message.int(253).filter(|s| is_time(*s)) {
            self.last_time_s = time_s;
        }
        match message.definition.message {
            RECORD => self.take_record(message, compressed_time_s),
            0 => {
                self.file_type = self.file_type.or(message.int(0));
                self.manufacturer = self.manufacturer.or(message.int(1));
                self.product = self.product.or(message.int(2));
                self.serial = self.serial.or(message.int(3));
                self.product_name = self.product_name.take().or_else(|| message.text(8));
            }
            // The device itself is the one with index 0; others are its sensors.
            23 if message.int(0) == Some(0) => {
                self.serial = self.serial.or(message.int(3));
                self.product_name = self.product_name.take().or_else(|| message.text(27));
            }
            12 => self.sport = (message.int(0), message.int(1)),
            18 => self.sessions.push(session(message)),
            19 => {
                self.laps.push(lap(message));
                self.lap_sums.push(sums_of_lap(message));
            }
            21 => self.take_event(message),
            34 => self.take_zone(message.int(5), message.int(253)),
            132 => self.heart_rates.take(message),
            162 if self.utc_offset_s.is_none() => self.take_zone(message.int(3), message.int(253)),
            206 => {
                if let Some((field, description)) = decode::description(message) {
                    self.descriptions.insert(field, description);
                }
            }
            225 => self.take_set(message),
            _ => {}
        }
    }

    /// The local wall clock beside the time is the only word about the zone.
    fn take_zone(&mut self, local_s: Option<i64>, utc_s: Option<i64>) {
        const QUARTER_S: f64 = 900.0;
        if let (Some(local_s), Some(utc_s)) = (local_s, utc_s)
            && is_time(local_s)
            && is_time(utc_s)
        {
            let offset_s = i32::try_from(local_s - utc_s).ok().filter(|s| s.abs() <= 15 * 3600);
            self.utc_offset_s = offset_s.map(|s| (f64::from(s) / QUARTER_S).round() as i32 * 900);
        }
    }

    /// A stop of the timer ends a stretch.
    fn take_event(&mut self, message: Message<'_>) {
        const TIMER: i64 = 0;
        const STOPS: [i64; 4] = [1, 4, 8, 9];
        let is_stop = message.int(1).is_some_and(|kind| STOPS.contains(&kind));
        if message.int(0) == Some(TIMER)
            && is_stop
            && self.samples.last().is_some_and(|s| s.stretch == self.stretch)
        {
            self.stretch += 1;
        }
    }

    fn take_set(&mut self, message: Message<'_>) {
        const ACTIVE: i64 = 1;
        if message.int(5).is_some_and(|kind| kind != ACTIVE) {
            return;
        }
        let category = message.int(7).and_then(names::exercise);
        let set = ExerciseSet {
            exercise_name: category,
            set_index: i32::try_from(self.sets.len()).ok(),
            set_type: Some("normal".to_string()),
            reps: message.int(3).and_then(|n| i32::try_from(n).ok()),
            weight_kg: message.int(4).map(|n| n as f64 / 16.0),
            duration_s: message.int(0).map(|n| n as f64 / 1000.0),
            ..ExerciseSet::default()
        };
        self.sets.push((message.int(6).unwrap_or(self.last_time_s), set));
    }

    pub fn device(&self) -> Option<String> {
        self.product_name.clone().or_else(|| Some(names::device(self.manufacturer?, self.product)))
    }
}
