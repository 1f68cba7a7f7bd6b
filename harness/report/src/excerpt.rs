//! Cuts and quotes text that others wrote, for the console.

use crate::workflow_commands::PREFIX;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The largest length of a text on the console, in bytes. Records contain the whole text.
const MAX_TEXT: usize = 8 * 1024;
/// The number of bytes that a cut text keeps of its end.
const TAIL: usize = MAX_TEXT / 4;
/// The largest length of a text in a list of one-line texts, in characters.
const MAX_LINE: usize = 300;

/// Cuts the middle out of a text over 8 KiB, and says how many bytes are missing.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return Cow::Borrowed(text);
    }
    let (mut head, mut tail) = (MAX_TEXT - TAIL, text.len() - TAIL);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    Cow::Owned(format!(
        "{}\n[… {} of {} bytes are omitted here; the record has all of them …]\n{}",
        &text[..head],
        tail - head,
        text.len(),
        &text[tail..]
    ))
}

/// Returns the text with `indentation` and `| ` before each line except the first. Cuts the middle
/// out of a text over 8 KiB.
#[must_use]
pub fn quoted(text: &str, indentation: &str) -> String {
    let mut quoted = String::new();
    for (index, line) in excerpt(text).lines().enumerate() {
        let _ = match index {
            0 => write!(quoted, "{line}"),
            _ => write!(quoted, "\n{indentation}{PREFIX}{line}"),
        };
    }
    quoted
}

/// Returns the first line of the text, with at most 300 characters.
#[must_use]
pub fn first_line(text: &str) -> Cow<'_, str> {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    match line.char_indices().nth(MAX_LINE) {
        None => Cow::Borrowed(line),
        Some((end, _)) => Cow::Owned(format!("{} …", &line[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_keeps_both_ends_and_counts_the_middle() {
        assert_eq!(excerpt("short"), "short");
        let long = format!("first{}last", "é".repeat(3_000_000));
        let cut = excerpt(&long);
        assert!(cut.starts_with("firsté") && cut.ends_with("élast"), "{cut}");
        assert!(cut.len() < MAX_TEXT + 200);
        assert!(cut.contains("of 6000009 bytes are omitted here"), "{cut}");
    }

    #[test]
    fn quoted_prefixes_all_lines_but_the_first() {
        assert_eq!(quoted("a\n::b\n\nc", "  "), "a\n  | ::b\n  | \n  | c");
        assert_eq!(quoted("a", "  "), "a");
    }

    #[test]
    fn first_line_is_short() {
        assert_eq!(first_line("a\r::b"), "a");
        assert_eq!(first_line(&"é".repeat(400)).chars().count(), MAX_LINE + 2);
    }
}
