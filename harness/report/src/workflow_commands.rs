//! Neutralises the workflow commands of GitHub's runner in text that others wrote.
//!
//! The runner reads each line of a step's output. A line is a command if it starts with `::` after
//! leading blanks, or contains `##[` anywhere. Carriage returns end lines, too. A command can
//! annotate files, mask words of the log, or end the reading of later commands. Text of a test or
//! of the code under test must do none of this.
//!
//! The functions here change only lines that the runner could read. They are always active, not
//! only with `GITHUB_ACTIONS`: in a container, this variable is missing, and the runner still reads
//! the container's output.
// The rules are those of `ActionCommand.TryParseV2` and `ActionCommand.TryParse` in
// <https://github.com/actions/runner>. Their string comparisons depend on the culture, and may
// ignore characters such as U+200B. `stop-commands` would not help: a test may print its token.

use std::borrow::Cow;

/// The visible start of a line that others wrote.
pub const PREFIX: &str = "| ";

/// The longest end of a chunk that [`CommandFilter`] holds back, in bytes.
const MAX_HELD: usize = 64;

/// Returns `text` with no line that GitHub's runner takes for a command.
///
/// A line that starts with `::` gets the [`PREFIX`], and `##[` becomes `## [`.
///
/// ```
/// use clarity_chaos_report::workflow_commands::neutralize;
///
/// let printed = "the test says\n::add-mask::e\n##[error]x";
/// assert_eq!(neutralize(printed), "the test says\n| ::add-mask::e\n## [error]x");
/// ```
#[must_use]
pub fn neutralize(text: &str) -> Cow<'_, str> {
    if !text.contains([':', '#']) {
        return Cow::Borrowed(text);
    }
    let mut line = LineState::start();
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        line.push(character, &mut out);
    }
    line.end(&mut out);
    Cow::Owned(out)
}

/// Returns JSON with the same value, in which no string contains `##[`.
#[must_use]
pub fn neutralize_json(json: &str) -> Cow<'_, str> {
    if neutralize(json) == json {
        return Cow::Borrowed(json);
    }
    // In JSON, the character `#` occurs in strings only, and never after an escaping backslash.
    Cow::Owned(json.replace('#', "\\u0023"))
}

/// Neutralises a stream of bytes, chunk by chunk.
///
/// Other writers may write to the same stream between two chunks. So each chunk is treated as the
/// start of a line, and `##[` never spans two chunks.
#[derive(Clone, Debug)]
pub struct CommandFilter {
    prefixes_all: bool,
    is_at_line_start: bool,
    held: Vec<u8>,
}

impl CommandFilter {
    /// Creates the filter of a stream. If `prefixes_all` is set, all non-empty lines get the
    /// [`PREFIX`], not only the lines that the runner could read.
    #[must_use]
    pub fn new(prefixes_all: bool) -> Self {
        Self {
            prefixes_all,
            is_at_line_start: true,
            held: Vec::new(),
        }
    }

    /// Returns the neutralised form of the next chunk. Holds back an incomplete character, and `#`
    /// characters at the chunk's end.
    #[must_use]
    pub fn filter(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(chunk);
        let end = complete_length(&bytes);
        self.held = bytes.split_off(end);
        self.render(&bytes)
    }

    /// Returns the neutralised form of the bytes that were held back.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.held);
        self.render(&bytes)
    }

    fn render(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut line = LineState::start();
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                if self.prefixes_all && self.is_at_line_start && !is_line_end(character) {
                    text.push_str(PREFIX);
                    line = LineState::inside();
                }
                self.is_at_line_start = is_line_end(character);
                line.push(character, &mut text);
            }
            if !chunk.invalid().is_empty() {
                line.end(&mut text);
                out.append(&mut std::mem::take(&mut text).into_bytes());
                out.extend_from_slice(chunk.invalid());
            }
        }
        line.end(&mut text);
        out.append(&mut text.into_bytes());
        out
    }
}

/// Returns the length of the part of `bytes` that needs no later bytes.
fn complete_length(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(MAX_HELD);
    let tail = bytes[from..]
        .utf8_chunks()
        .fold((0, None), |(at, end), chunk| {
            let mut end = end;
            for (index, character) in chunk.valid().char_indices() {
                if character == '#' {
                    end = end.or(Some(at + index));
                } else if !is_ignorable(character) {
                    end = None;
                }
            }
            let at = at + chunk.valid().len();
            // Only the last chunk can be the start of a character that is not complete yet.
            let is_last = from + at + chunk.invalid().len() == bytes.len();
            let is_incomplete = is_last && !chunk.invalid().is_empty() && chunk.invalid().len() < 4;
            let end = if is_incomplete { end.or(Some(at)) } else { end };
            (at + chunk.invalid().len(), end)
        });
    tail.1.map_or(bytes.len(), |at| from + at)
}

/// The state of a line that is neutralised character by character.
#[derive(Debug)]
struct LineState {
    /// Whether the line has had no visible character yet.
    is_blank: bool,
    /// The line's first `:`, with the invisible characters after it.
    colon: String,
    /// The number of `#` characters directly before this place, at most 2.
    hashes: usize,
}

impl LineState {
    fn start() -> Self {
        Self {
            is_blank: true,
            colon: String::new(),
            hashes: 0,
        }
    }

    fn inside() -> Self {
        Self {
            is_blank: false,
            ..Self::start()
        }
    }

    fn push(&mut self, character: char, out: &mut String) {
        if is_line_end(character) {
            self.end(out);
            out.push(character);
            *self = Self::start();
            return;
        }
        if is_ignorable(character) && !self.colon.is_empty() {
            self.colon.push(character);
            return;
        }
        if !self.colon.is_empty() {
            if character == ':' {
                out.push_str(PREFIX);
            }
            out.push_str(&std::mem::take(&mut self.colon));
        } else if self.is_blank && character == ':' {
            self.colon.push(character);
            self.is_blank = false;
            return;
        }
        match character {
            '#' => self.hashes = (self.hashes + 1).min(2),
            '[' => {
                if self.hashes == 2 {
                    out.push(' ');
                }
                self.hashes = 0;
            }
            other if is_ignorable(other) => {}
            _ => self.hashes = 0,
        }
        self.is_blank &= character.is_whitespace() || is_ignorable(character);
        out.push(character);
    }

    /// Writes the first `:` of a line without a second character. The next text may complete `::`.
    fn end(&mut self, out: &mut String) {
        if !self.colon.is_empty() {
            out.push_str(PREFIX);
            out.push_str(&std::mem::take(&mut self.colon));
        }
    }
}

/// Whether GitHub's runner ends a line at this character.
fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r')
}

/// Whether a comparison that depends on the culture may ignore this character.
fn is_ignorable(character: char) -> bool {
    !character.is_alphanumeric() && !character.is_ascii_graphic() && character != ' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neutralize_changes_commands_and_nothing_else() {
        for (text, expected) in [
            ("::error::x", "| ::error::x"),
            (" \t ::error::x", " \t | ::error::x"),
            ("a\r::error::x", "a\r| ::error::x"),
            ("a\r\n\u{a0}::e::x\nb", "a\r\n\u{a0}| ::e::x\nb"),
            ("\u{200b}::e::x", "\u{200b}| ::e::x"),
            (":\u{200b}:e::x", "| :\u{200b}:e::x"),
            ("a ##[error]x", "a ## [error]x"),
            ("###[error]", "### [error]"),
            ("#\u{200b}#\u{0}[error]", "#\u{200b}#\u{0} [error]"),
            ("##[##[a]", "## [## [a]"),
        ] {
            assert_eq!(neutralize(text), expected, "{text:?}");
        }
        for same in [
            "a::b ::c",
            ": a",
            "#[test]",
            "## [a]",
            "#a#[b]",
            "# #[b]",
            "",
            "\u{e9}: x",
            "\n\n",
        ] {
            assert_eq!(neutralize(same), same);
        }
    }

    #[test]
    fn neutralize_json_keeps_the_value() {
        let value = serde_json::json!({ "a": "x##[error]\\#", "b": ["::", "#"] });
        let json = value.to_string();
        let neutral = neutralize_json(&json);
        assert!(!neutral.contains("##["));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&neutral).unwrap(),
            value
        );
        assert_eq!(neutralize_json("{\"a\":\"#[b]\"}"), "{\"a\":\"#[b]\"}");
    }

    #[test]
    fn filter_finds_commands_that_chunks_divide() {
        let texts = [
            "a ##[error]x\n  ::error::\u{e9}\n",
            "#\u{200b}#[x\r::a::\u{1f600}##",
        ];
        for text in texts {
            for (size, prefixes_all) in (1..9).flat_map(|size| [(size, false), (size, true)]) {
                let mut filter = CommandFilter::new(prefixes_all);
                let mut out = Vec::new();
                for chunk in text.as_bytes().chunks(size) {
                    out.extend(filter.filter(chunk));
                }
                out.extend(filter.finish());
                let out = String::from_utf8(out).expect("no character is divided");
                assert_eq!(neutralize(&out), out, "{size}");
            }
        }
    }

    #[test]
    fn filter_prefixes_each_line_and_keeps_bytes() {
        let mut filter = CommandFilter::new(true);
        assert_eq!(filter.filter(b"a\n\nb"), b"| a\n\n| b");
        assert_eq!(filter.filter(b"c\n\xff\xfed"), b"c\n\xff\xfe| d");
        let mut filter = CommandFilter::new(false);
        assert_eq!(filter.filter(b"[1]\xffa\nb"), b"[1]\xffa\nb");
    }
}
