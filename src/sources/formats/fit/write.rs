//! Writes FIT files, of the protocol's version 2: <https://developer.garmin.com/fit/protocol/>. Numbers of messages and
//! fields are those of the public profile, as the reader's. What is None becomes the profile's "no value".

use super::{EPOCH_S, FIRST_ABSOLUTE, crc};

pub const ENUM: u8 = 0x00;
pub const SINT8: u8 = 0x01;
pub const UINT8: u8 = 0x02;
pub const UINT16: u8 = 0x84;
pub const SINT32: u8 = 0x85;
pub const UINT32: u8 = 0x86;
pub const UINT32Z: u8 = 0x8c;

/// A file in the making.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// A message in the making: its fields, and the values behind them.
#[derive(Debug, Default)]
pub struct Message {
    fields: Vec<(u8, u8, u8)>,
    bytes: Vec<u8>,
}

impl Message {
    pub fn new() -> Message {
        Message::default()
    }

    /// A field by its number in the profile, of a base type.
    pub fn add(mut self, number: u8, base: u8, bytes: &[u8]) -> Message {
        self.fields.push((number, bytes.len() as u8, base));
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn u8(self, number: u8, base: u8, value: Option<u8>) -> Message {
        self.add(number, base, &[value.unwrap_or(u8::MAX)])
    }

    pub fn i8(self, number: u8, value: Option<f64>) -> Message {
        let value = value.map_or(i8::MAX, |v| v.round().clamp(-128.0, 126.0) as i8);
        self.add(number, SINT8, &value.to_le_bytes())
    }

    pub fn u16(self, number: u8, value: Option<f64>) -> Message {
        let value = value.map_or(u16::MAX, |v| v.round().clamp(0.0, 65_534.0) as u16);
        self.add(number, UINT16, &value.to_le_bytes())
    }

    pub fn u32(self, number: u8, value: Option<f64>) -> Message {
        let value = value.map_or(u32::MAX, |v| v.round().clamp(0.0, 4_294_967_294.0) as u32);
        self.add(number, UINT32, &value.to_le_bytes())
    }

    pub fn i32(self, number: u8, value: Option<i32>) -> Message {
        self.add(number, SINT32, &value.unwrap_or(i32::MAX).to_le_bytes())
    }
}

impl Writer {
    /// Says which fields the messages have that [`Writer::push`] adds under this local number.
    pub fn define(&mut self, local: u8, global: u16, message: &Message) {
        self.0.extend_from_slice(&[0x40 | local, 0, 0]);
        self.0.extend_from_slice(&global.to_le_bytes());
        self.0.push(message.fields.len() as u8);
        for (number, size, base) in &message.fields {
            self.0.extend_from_slice(&[*number, *size, *base]);
        }
    }

    pub fn push(&mut self, local: u8, message: &Message) {
        self.0.push(local);
        self.0.extend_from_slice(&message.bytes);
    }

    pub fn both(&mut self, local: u8, global: u16, message: &Message) {
        self.define(local, global, message);
        self.push(local, message);
    }

    /// Messages of one kind and with the same fields.
    pub fn all(&mut self, local: u8, global: u16, messages: impl IntoIterator<Item = Message>) {
        for (at, message) in messages.into_iter().enumerate() {
            if at == 0 {
                self.define(local, global, &message);
            }
            self.push(local, &message);
        }
    }

    /// The file, with its header and checksums.
    pub fn finish(self) -> Vec<u8> {
        /// 21.95, of which any reader knows the messages of an activity.
        const PROFILE: u16 = 2195;
        let mut file = vec![14, 0x20];
        file.extend_from_slice(&PROFILE.to_le_bytes());
        file.extend_from_slice(&(self.0.len() as u32).to_le_bytes());
        file.extend_from_slice(b".FIT");
        file.extend_from_slice(&crc(&file).to_le_bytes());
        file.extend_from_slice(&self.0);
        let sum = crc(&file);
        file.extend_from_slice(&sum.to_le_bytes());
        file
    }
}

/// FIT counts from the end of 1989.
pub fn time(unix_s: i64) -> f64 {
    (unix_s - EPOCH_S) as f64
}

/// Whether FIT can say the time: what is before July 1998 it takes for seconds since the device was switched on.
pub fn can_tell(unix_s: i64) -> bool {
    (FIRST_ABSOLUTE..i64::from(u32::MAX)).contains(&(unix_s - EPOCH_S))
}

pub fn semicircles(e7: Option<i32>) -> Option<i32> {
    e7.map(|e7| (f64::from(e7) * 1e-7 * (2_147_483_648.0 / 180.0)).round() as i32)
}
