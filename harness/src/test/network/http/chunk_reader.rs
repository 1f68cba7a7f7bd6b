//! Finds the parts of a chunked body.

use super::part::{LONGEST_HEAD, Part};

/// The longest line with the size of a chunk and its extensions.
const LONGEST_SIZE: usize = 4096;

/// Reads a chunked body, piece by piece.
#[derive(Debug)]
pub(super) enum ChunkReader {
    /// The line with the size of a chunk, so far.
    Size(Vec<u8>),
    /// This number of bytes of the chunk's data is left.
    Data(u64),
    /// This number of bytes of the line's end after the data is left.
    DataEnd(usize),
    /// The trailer section, so far.
    Trailers(Vec<u8>),
    Complete,
}

impl ChunkReader {
    pub(super) fn new() -> Self {
        Self::Size(Vec::new())
    }

    /// Reads the next part of the body, and returns its length. `bytes` must not be empty.
    ///
    /// # Errors
    ///
    /// When the body is malformed.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Part), String> {
        match self {
            Self::Size(line) => {
                let (length, has_ended) = read_line(line, bytes)?;
                if !has_ended {
                    check_size(
                        line.len() <= LONGEST_SIZE && line[0].is_ascii_hexdigit(),
                        line,
                    )?;
                    return Ok((length, Part::ChunkSize));
                }
                match parse_size(line)? {
                    0 => {
                        *self = Self::Trailers(Vec::new());
                        Ok((length, Part::LastChunk))
                    }
                    size => {
                        *self = Self::Data(size);
                        Ok((length, Part::ChunkSize))
                    }
                }
            }
            Self::Data(left) => {
                let length =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= length as u64;
                if *left == 0 {
                    *self = Self::DataEnd(2);
                }
                Ok((length, Part::Data))
            }
            Self::DataEnd(left) => {
                if bytes[0] != b"\r\n"[2 - *left] {
                    return Err("a chunk that is longer than its size".to_owned());
                }
                *left -= 1;
                if *left == 0 {
                    *self = Self::new();
                }
                Ok((1, Part::ChunkEnd))
            }
            Self::Trailers(section) => {
                let (length, has_ended) = read_line(section, bytes)?;
                if section.len() > LONGEST_HEAD {
                    return Err("a trailer section that is too long".to_owned());
                }
                if has_ended && (section == b"\r\n" || section.ends_with(b"\r\n\r\n")) {
                    *self = Self::Complete;
                }
                Ok((length, Part::LastChunk))
            }
            Self::Complete => Err("bytes after the last chunk".to_owned()),
        }
    }
}

/// Appends bytes to `line` up to the end of the line. Returns the number of appended bytes, and
/// whether the line has ended.
///
/// # Errors
///
/// When the line does not end with a carriage return and a line feed, or has one of them inside.
pub(super) fn read_line(line: &mut Vec<u8>, bytes: &[u8]) -> Result<(usize, bool), String> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let length = end.map_or(bytes.len(), |end| end + 1);
    for byte in &bytes[..length] {
        let follows_return = line.last() == Some(&b'\r');
        if follows_return != (*byte == b'\n') {
            let which = if follows_return {
                "carriage return"
            } else {
                "line feed"
            };
            return Err(format!("a bare {which}"));
        }
        line.push(*byte);
    }
    Ok((length, end.is_some()))
}

/// Parses the line with the size of a chunk.
fn parse_size(line: &[u8]) -> Result<u64, String> {
    let text = line.strip_suffix(b"\r\n").unwrap_or(line);
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, rest) = text.split_at(digits.count());
    // RFC 9112, section 7.1.1: blanks stand only before and after the `;` of an extension.
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let rest = &rest[blanks.count()..];
    check_size(line.len() <= LONGEST_SIZE, line)?;
    check_size(
        rest.is_empty() && text == digits || rest.starts_with(b";"),
        line,
    )?;
    check_size(
        !rest
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t'),
        line,
    )?;
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(digits, 16).or_else(|_| check_size(false, line).map(|()| 0))
}

fn check_size(is_valid: bool, line: &[u8]) -> Result<(), String> {
    if is_valid {
        return Ok(());
    }
    let shown = &line[..line.len().min(40)];
    Err(format!("a chunk's size of `{}`", shown.escape_ascii()))
}
