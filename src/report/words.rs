//! Words that many rows share, each kept once and named by its number.

use std::collections::HashMap;

#[derive(Debug, Default)]
pub struct Words {
    numbers: HashMap<String, u32>,
    all: Vec<String>,
}

impl Words {
    pub fn number(&mut self, word: &str) -> u32 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.numbers.insert(word.to_string(), number);
        self.all.push(word.to_string());
        number
    }

    pub fn word(&self, number: u32) -> &str {
        &self.all[number as usize]
    }

    /// By their numbers.
    pub fn into_all(self) -> Vec<String> {
        self.all
    }
}
