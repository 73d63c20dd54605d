//! Numbers for texts that come again and again, such as symbols.
//!
//! A table of 256 places, found by a few bytes of the text, answers for most; what it does not have is looked
//! up in a map whose hashes nobody can choose collisions for.

use std::collections::HashMap;

const PLACES: usize = 256;

/// Gives each text a number, from 0 in the order of first appearance.
pub struct Numbering {
    texts: Vec<Box<[u8]>>,
    map: HashMap<Box<[u8]>, u32>,
    quick: Box<[u32; PLACES]>,
    last: u32,
    most: usize,
}

impl Numbering {
    /// For at most so many texts.
    pub fn new(most: usize) -> Self {
        Self {
            texts: Vec::new(),
            map: HashMap::new(),
            quick: Box::new([u32::MAX; PLACES]),
            last: u32::MAX,
            most,
        }
    }

    /// The number of a text; one that is new gets the next. `None` when there are too many.
    #[inline]
    pub fn of(&mut self, text: &[u8]) -> Option<u32> {
        if self.is(self.last, text) {
            return Some(self.last);
        }
        let place = place(text);
        let quick = self.quick[place];
        if self.is(quick, text) {
            self.last = quick;
            return Some(quick);
        }
        let number = match self.map.get(text) {
            Some(number) => *number,
            None if self.texts.len() >= self.most => return None,
            None => {
                let number = self.texts.len() as u32;
                self.texts.push(text.into());
                self.map.insert(text.into(), number);
                number
            }
        };
        self.quick[place] = number;
        self.last = number;
        Some(number)
    }

    #[inline]
    fn is(&self, number: u32, text: &[u8]) -> bool {
        self.texts
            .get(number as usize)
            .is_some_and(|known| **known == *text)
    }

    /// A text by its number.
    ///
    /// # Panics
    /// When no text has it.
    pub fn text(&self, number: u32) -> &[u8] {
        &self.texts[number as usize]
    }

    /// How many there are.
    pub const fn count(&self) -> usize {
        self.texts.len()
    }
}

#[inline]
fn place(text: &[u8]) -> usize {
    let byte = |at: usize| u32::from(text.get(at).copied().unwrap_or(0));
    let end = text.len().saturating_sub(2);
    let mixed = byte(0) ^ byte(1) << 8 ^ byte(end) << 16 ^ byte(end + 1) << 24 ^ text.len() as u32;
    (mixed.wrapping_mul(0x9e37_79b1) >> 24) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_their_numbers_however_many_there_are() {
        let mut numbering = Numbering::new(5_000);
        for _ in 0..2 {
            for n in 0..5_000_u32 {
                let text = format!("S{n}");
                assert_eq!(numbering.of(text.as_bytes()), Some(n));
                assert_eq!(numbering.text(n), text.as_bytes());
            }
        }
        assert_eq!(numbering.of(b"one more"), None);
        assert_eq!(numbering.of(b""), None);
        assert_eq!((numbering.of(b"S7"), numbering.count()), (Some(7), 5_000));
    }
}
