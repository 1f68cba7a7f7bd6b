//! The captured output of a test.

use serde::{Deserialize, Serialize};

/// The standard output and standard error of a test, in the order of writing. U+FFFD replaces bytes
/// that are not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CapturedOutput {
    /// The captured text. For a long output, the text contains only the beginning and the end.
    pub text: String,
    /// The number of bytes that the test printed, including the omitted bytes.
    pub total_bytes: u64,
    /// The number of bytes that were cut out of the middle of the output.
    pub omitted_bytes: u64,
}

impl CapturedOutput {
    /// Returns the last whole lines of the text, together at most `limit` bytes. Returns the end of
    /// the last line if that line alone is longer than `limit`.
    #[must_use]
    pub fn tail(&self, limit: usize) -> &str {
        let text = self.text.as_str();
        if text.len() <= limit {
            return text;
        }
        let mut from = text.len() - limit;
        while !text.is_char_boundary(from) {
            from += 1;
        }
        match text[from..].split_once('\n') {
            Some((_cut, whole)) if !whole.is_empty() => whole,
            _ => &text[from..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_whole_lines_and_splits_no_character() {
        let tail = |text: &str, limit| {
            let output = CapturedOutput {
                text: text.to_owned(),
                ..CapturedOutput::default()
            };
            output.tail(limit).to_owned()
        };
        assert_eq!(tail("one\ntwo\nthree\n", 9), "three\n");
        assert_eq!(tail("short", 9), "short");
        assert_eq!(tail("ääääää", 5), "ää");
    }
}
