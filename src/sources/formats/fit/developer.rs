//! Fields that applications on the watch define themselves, and what they mean.
//!
//! An application says which field of the profile its own stands for (`native_field_num`). Some
//! that are known by their names say nothing: the table `data/fit_developer_fields.csv`.

use std::sync::LazyLock;

/// A field of the profile that a developer's field stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meaning {
    pub number: u8,
    scale: f64,
    offset: f64,
}

impl Meaning {
    pub fn value(&self, raw: f64) -> f64 {
        raw / self.scale - self.offset
    }
}

/// What an application says of one of its fields.
#[derive(Debug, Clone)]
pub struct Description {
    pub base: u8,
    pub name: String,
    pub scale: f64,
    pub offset: f64,
    /// The message and the field of the profile.
    pub native: (Option<i64>, Option<u8>),
}

impl Description {
    /// The field of the profile that it stands for in a message.
    pub fn meaning(&self, message: u16) -> Option<Meaning> {
        let (native_message, native_field) = self.native;
        let is_of_message = native_message.is_none_or(|native| native == i64::from(message));
        let number = native_field.filter(|_| is_of_message).or_else(|| known_by_name(message, &self.name))?;
        Some(Meaning { number, scale: self.scale, offset: self.offset })
    }
}

fn known_by_name(message: u16, name: &str) -> Option<u8> {
    static KNOWN: LazyLock<Vec<(u16, &str, u8)>> = LazyLock::new(|| {
        let lines = include_str!("../../../../data/fit_developer_fields.csv").lines().skip(1);
        let row = |line: &'static str| {
            let [message, name, number] = line.split(',').collect::<Vec<_>>()[..] else { return None };
            Some((message.parse().ok()?, name, number.parse().ok()?))
        };
        lines.map(|line| row(line).expect("a message, a name and a number")).collect()
    });
    let known = KNOWN.iter().find(|(of, known, _)| *of == message && known.eq_ignore_ascii_case(name));
    known.map(|(_, _, number)| *number)
}
