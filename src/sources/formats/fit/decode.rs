//! Bytes of a FIT file to messages: definitions, fields, numbers of every width.

use std::collections::HashMap;

use super::developer::{Description, Meaning};

#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub number: u8,
    pub size: u8,
    pub base: u8,
    pub offset: u16,
}

/// A developer's field that means what a field of the profile means.
#[derive(Debug, Clone, Copy)]
pub struct DeveloperField {
    pub field: Field,
    pub meaning: Meaning,
}

#[derive(Debug, Clone, Default)]
pub struct Definition {
    pub message: u16,
    is_big_endian: bool,
    pub fields: Vec<Field>,
    pub developer: Vec<DeveloperField>,
    pub size: usize,
}

/// The fields of one message.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub definition: &'a Definition,
    pub bytes: &'a [u8],
}

/// What applications said of their fields, by their index and the field's number.
pub type Descriptions = HashMap<(u8, u8), Description>;

/// A `field_description`: the index of the application, the number of its field, and what it is.
pub fn description(m: Message<'_>) -> Option<((u8, u8), Description)> {
    let byte = |number: u8| u8::try_from(m.int(number)?).ok();
    let described = Description {
        base: byte(2)?,
        name: m.text(3).unwrap_or_default(),
        scale: m.int(6).filter(|scale| *scale > 0).map_or(1.0, |scale| scale as f64),
        offset: m.int(7).map_or(0.0, |offset| offset as f64),
        native: (m.int(14), byte(15)),
    };
    Some(((byte(0)?, byte(1)?), described))
}

/// A definition, and the bytes that it takes.
pub fn definition(
    bytes: &[u8],
    has_developer_fields: bool,
    descriptions: &Descriptions,
) -> Option<(Definition, usize)> {
    let [_, order, a, b, count, rest @ ..] = bytes else { return None };
    let is_big_endian = *order == 1;
    let message = if is_big_endian { u16::from_be_bytes([*a, *b]) } else { u16::from_le_bytes([*a, *b]) };
    let count = usize::from(*count);
    let mut length = 5 + 3 * count;
    let mut definition =
        Definition { message, is_big_endian, fields: Vec::with_capacity(count), ..Definition::default() };
    for field in rest.get(..3 * count)?.chunks_exact(3) {
        definition.fields.push(Field {
            number: field[0],
            size: field[1],
            base: field[2],
            offset: offset(definition.size),
        });
        definition.size += usize::from(field[1]);
    }
    if has_developer_fields {
        let count = usize::from(*bytes.get(length)?);
        for field in bytes.get(length + 1..length + 1 + 3 * count)?.chunks_exact(3) {
            let description = descriptions.get(&(field[2], field[0]));
            if let Some(description) = description
                && let Some(meaning) = description.meaning(message)
            {
                let field = Field {
                    number: field[0],
                    size: field[1],
                    base: description.base,
                    offset: offset(definition.size),
                };
                definition.developer.push(DeveloperField { field, meaning });
            }
            definition.size += usize::from(field[1]);
        }
        length += 1 + 3 * count;
    }
    Some((definition, length))
}

fn offset(size: usize) -> u16 {
    u16::try_from(size).expect("510 fields of 255 bytes")
}

impl<'a> Message<'a> {
    fn field(&self, number: u8) -> Option<&Field> {
        self.definition.fields.iter().find(|field| field.number == number)
    }

    pub fn bytes_of(&self, field: &Field) -> Option<&'a [u8]> {
        let at = usize::from(field.offset);
        self.bytes.get(at..at + usize::from(field.size))
    }

    /// The bytes of a field that holds a list.
    pub fn list(&self, number: u8) -> &'a [u8] {
        self.field(number).and_then(|field| self.bytes_of(field)).unwrap_or_default()
    }

    /// Four bytes as a number, in the order of the message.
    pub fn word(&self, bytes: &[u8]) -> u32 {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        if self.definition.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub fn int(&self, number: u8) -> Option<i64> {
        self.int_of(self.field(number)?)
    }

    /// The first value of a field; None where it is the one that says that there is none.
    #[inline]
    pub fn int_of(&self, field: &Field) -> Option<i64> {
        let bytes = self.bytes_of(field)?;
        let big = self.definition.is_big_endian;
        macro_rules! number {
            ($type:ty, $invalid:expr) => {{
                const SIZE: usize = size_of::<$type>();
                match bytes.first_chunk::<SIZE>() {
                    Some(bytes) => {
                        let value =
                            if big { <$type>::from_be_bytes(*bytes) } else { <$type>::from_le_bytes(*bytes) };
                        (value != $invalid).then_some(value as i64)
                    }
                    // Some devices write fewer bytes than the type has.
                    None => short(bytes, big),
                }
            }};
        }
        match field.base & 0x1f {
            1 => number!(i8, i8::MAX),
            0 | 2 | 13 => number!(u8, u8::MAX),
            3 => number!(i16, i16::MAX),
            4 => number!(u16, u16::MAX),
            5 => number!(i32, i32::MAX),
            6 => number!(u32, u32::MAX),
            FLOAT_32 | FLOAT_64 => self.float_of(field).map(|value| value as i64),
            10 => number!(u8, 0),
            11 => number!(u16, 0),
            12 => number!(u32, 0),
            14 => number!(i64, i64::MAX),
            15 => number!(u64, u64::MAX),
            16 => number!(u64, 0),
            _ => None,
        }
    }

    /// The same with its fraction, where the type has one.
    fn float_of(&self, field: &Field) -> Option<f64> {
        let bytes = self.bytes_of(field)?;
        let big = self.definition.is_big_endian;
        let value = match field.base & 0x1f {
            FLOAT_32 => {
                let bytes = *bytes.first_chunk()?;
                f64::from(if big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) })
            }
            FLOAT_64 => {
                let bytes = *bytes.first_chunk()?;
                if big { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) }
            }
            _ => self.int_of(field)? as f64,
        };
        value.is_finite().then_some(value)
    }

    /// What a developer's field says, in the unit of the profile's.
    pub fn developer_value(&self, field: &DeveloperField) -> Option<f64> {
        Some(field.meaning.value(self.float_of(&field.field)?))
    }

    /// The number in its unit: that of the profile's field, or of a developer's that stands for it.
    pub fn scaled(&self, number: u8, scale: f64) -> Option<f64> {
        if let Some(value) = self.int(number) {
            return Some(value as f64 / scale);
        }
        let developer = self.definition.developer.iter().find(|field| field.meaning.number == number)?;
        self.developer_value(developer)
    }

    /// The value of the first of two fields, the wider one of which newer devices fill.
    pub fn either(&self, wide: u8, narrow: u8, scale: f64) -> Option<f64> {
        if self.int(wide) == Some(NONE_WIDENED) {
            return self.scaled(narrow, scale);
        }
        self.scaled(wide, scale).or_else(|| self.scaled(narrow, scale))
    }

    pub fn text(&self, number: u8) -> Option<String> {
        let field = self.field(number).filter(|field| field.base & 0x1f == TEXT)?;
        let bytes = self.bytes_of(field)?.split(|byte| *byte == 0).next()?;
        let text = String::from_utf8_lossy(bytes).trim().to_string();
        (!text.is_empty()).then_some(text)
    }
}

/// What says in two bytes that there is no value. Converters carry it over into fields of four.
pub const NONE_WIDENED: i64 = 0xffff;
const TEXT: u8 = 7;
const FLOAT_32: u8 = 8;
const FLOAT_64: u8 = 9;

fn short(bytes: &[u8], big: bool) -> Option<i64> {
    let value = match *bytes {
        [a] => u32::from(a),
        [a, b] if big => u32::from(u16::from_be_bytes([a, b])),
        [a, b] => u32::from(u16::from_le_bytes([a, b])),
        _ => return None,
    };
    let invalid = if bytes.len() == 1 { 0xff } else { 0xffff };
    (value != invalid).then_some(i64::from(value))
}

/// CRC-16 as the FIT protocol defines it, half a byte at a time.
pub fn crc(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0_u16; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u16;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| crc >> 8 ^ TABLE[usize::from((crc as u8) ^ byte)])
}
