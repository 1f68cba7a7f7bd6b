//! Makes untrusted text safe for messages: short, and on one line.

use std::fmt::{self, Display, Write as _};

/// The maximum length of sanitized text, in characters.
const MAX_CHARACTERS: usize = 1000;

/// Truncates text to 1000 characters, and escapes its control characters. Marks a truncation with
/// `…`.
// Text from clients and files ends up in responses and logs. It must be short, and must not forge
// log lines.
pub(crate) fn sanitize_for_log(text: impl Display) -> String {
    let mut writer = BoundedWriter {
        text: String::new(),
        left: MAX_CHARACTERS,
    };
    // The writer returns an error when it truncates. The error also stops the formatting of `text`.
    if write!(writer, "{text}").is_err() {
        writer.text.push('…');
    }
    writer.text
}

struct BoundedWriter {
    text: String,
    left: usize,
}

impl fmt::Write for BoundedWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // A fast path for nearly all texts. It applies if nothing must be escaped or truncated, and
        // each character is one byte.
        let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control();
        if text.len() <= self.left && text.bytes().all(is_plain) {
            self.left -= text.len();
            self.text.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            if character.is_control() {
                self.text.extend(character.escape_default());
            } else {
                self.text.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitize_keeps_short_text_and_truncates_long_text() {
        assert_eq!(
            sanitize_for_log("expected 3, found ä"),
            "expected 3, found ä"
        );
        let exactly = "x".repeat(MAX_CHARACTERS);
        assert_eq!(sanitize_for_log(&exactly), exactly);
        assert_eq!(sanitize_for_log(exactly.clone() + "y"), exactly + "…");
    }

    #[test]
    fn sanitize_escapes_line_breaks() {
        assert_eq!(
            sanitize_for_log("a\nERROR fake\u{1b}[31m"),
            "a\\nERROR fake\\u{1b}[31m"
        );
    }
}
