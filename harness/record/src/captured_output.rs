//! The captured output of a test.

use serde::{Deserialize, Serialize};

/// The output of a test: standard output and standard error, in order. Bytes that are not UTF-8 are
/// replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CapturedOutput {
    /// The text; of a long one the beginning and the end.
    pub text: String,
    /// The number of bytes that the test printed.
    pub total_bytes: u64,
    /// The number of bytes from the middle that are not in the text.
    pub omitted_bytes: u64,
}

impl CapturedOutput {
    /// The end of the text: whole lines of at most `limit` bytes together. A longer last line is
    /// cut.
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
