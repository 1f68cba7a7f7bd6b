//! Text from clients and files, made safe for messages.

use std::fmt::{self, Display, Write as _};

/// The longest text that is not cut, in characters.
const LONGEST: usize = 1000;

/// The text on one line: control characters are escaped, and everything after 1000 characters is
/// cut.
// Such text ends up in answers and logs. There it must not grow without bound, or forge lines.
pub(crate) fn sanitize_for_log(text: impl Display) -> String {
    let mut sanitized = SanitizedText {
        text: String::new(),
        left: LONGEST,
    };
    // An error means that the text was cut. The rest is not formatted.
    if write!(sanitized, "{text}").is_err() {
        sanitized.text.push('…');
    }
    sanitized.text
}

struct SanitizedText {
    text: String,
    left: usize,
}

impl fmt::Write for SanitizedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The fast path of nearly all text: ASCII without control characters, and not too long.
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
    fn sanitize_for_log_cuts_only_long_text() {
        assert_eq!(
            sanitize_for_log("expected 3, found ä"),
            "expected 3, found ä"
        );
        let exactly = "x".repeat(LONGEST);
        assert_eq!(sanitize_for_log(&exactly), exactly);
        assert_eq!(sanitize_for_log(exactly.clone() + "y"), exactly + "…");
    }

    #[test]
    fn sanitize_for_log_escapes_control_characters() {
        assert_eq!(
            sanitize_for_log("a\nERROR fake\u{1b}[31m"),
            "a\\nERROR fake\\u{1b}[31m"
        );
    }
}
