//! Words, or lists of them, that many rows share, each kept once and named by its number.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug)]
pub struct Words<T = String> {
    numbers: HashMap<T, u32>,
    all: Vec<T>,
}

impl<T> Default for Words<T> {
    fn default() -> Self {
        Words { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Words<T> {
    pub fn number<Q>(&mut self, word: &Q) -> u32
    where
        T: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + ?Sized,
    {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.all.len() as u32;
        self.numbers.insert(word.to_owned(), number);
        self.all.push(word.to_owned());
        number
    }

    /// Takes in those of another, and returns by its numbers what they are here.
    pub fn add(&mut self, other: Words<T>) -> Vec<u32> {
        other.all.into_iter().map(|word| self.number(&word)).collect()
    }

    pub fn word(&self, number: u32) -> &T {
        &self.all[number as usize]
    }

    /// By their numbers.
    pub fn into_all(self) -> Vec<T> {
        self.all
    }
}

impl<T: Serialize> Serialize for Words<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl<'de, T: Clone + Eq + Hash + Deserialize<'de>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut words = Words::default();
        for word in Vec::<T>::deserialize(deserializer)? {
            words.number(&word);
        }
        Ok(words)
    }
}
