//! Input from outside, as far as an answer or a log line repeats it.
//!
//! Model: whoever says what is wrong with an input quotes it, and the input may be as large as a body. One
//! function cuts it, everywhere. What it does not do: escape; the encoder of the answer does.

use std::borrow::Cow;

/// Characters of an outside input that an answer repeats at most.
pub const EXCERPT_CHARS: usize = 200;

/// The text, or its first [`EXCERPT_CHARS`] characters with an ellipsis as the last of them.
///
/// ```
/// assert_eq!(market::excerpt("naive"), "naive");
/// assert_eq!(market::excerpt(&"x".repeat(9_999)).chars().count(), market::EXCERPT_CHARS);
/// ```
pub fn excerpt(text: &str) -> Cow<'_, str> {
    // The length in bytes tells most texts apart without counting.
    if text.len() <= EXCERPT_CHARS || text.chars().nth(EXCERPT_CHARS).is_none() {
        return Cow::Borrowed(text);
    }
    let mut cut: String = text.chars().take(EXCERPT_CHARS - 1).collect();
    cut.push('…');
    Cow::Owned(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_limit_stays_and_a_longer_one_is_cut_at_a_character() {
        let whole = "é".repeat(EXCERPT_CHARS);
        assert_eq!(excerpt(&whole), whole);
        let cut = excerpt(&format!("{whole}é")).into_owned();
        assert_eq!(cut.chars().count(), EXCERPT_CHARS);
        assert!(cut.ends_with("é…"));
    }
}
