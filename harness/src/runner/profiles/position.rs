//! Places in a file, and errors at these places.

use std::fmt;

/// The place of a character in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The line, counted from 1.
    line: usize,
    /// The column in characters, counted from 1.
    column: usize,
}

impl Position {
    /// Returns the place of the byte `offset` of `text`. An offset after the end counts as the end.
    pub(crate) fn new(text: &str, offset: usize) -> Self {
        let before: &[u8] = &text.as_bytes()[..offset.min(text.len())];
        let before = String::from_utf8_lossy(before);
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: last.chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// An error at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlacedError {
    position: Position,
    text: String,
}

impl PlacedError {
    pub(crate) fn new(position: Position, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { position, text }
    }
}

impl fmt::Display for PlacedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_lines_and_characters_from_1() {
        let text = "ab\nü = 1\n";
        for (offset, place) in [(0, "1:1"), (2, "1:3"), (3, "2:1"), (8, "2:5"), (99, "3:1")] {
            assert_eq!(Position::new(text, offset).to_string(), place, "{offset}");
        }
    }
}
