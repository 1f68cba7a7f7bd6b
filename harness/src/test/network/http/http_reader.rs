//! Finds the borders of messages in the bytes of one direction.

use super::chunk_reader::{ChunkReader, read_line};
use super::framing::Framing;
use super::part::{LONGEST_HEAD, Part};

/// The sender of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// Reads the messages of one direction, piece by piece.
#[derive(Debug)]
pub(super) struct HttpReader {
    sender: Sender,
    state: ReaderState,
}

#[derive(Debug)]
enum ReaderState {
    Head { bytes: Vec<u8>, has_line: bool },
    Body(u64),
    Chunks(ChunkReader),
    UntilClose,
}

impl ReaderState {
    fn start() -> Self {
        Self::Head {
            bytes: Vec::new(),
            has_line: false,
        }
    }
}

impl HttpReader {
    pub(super) fn new(sender: Sender) -> Self {
        Self {
            sender,
            state: ReaderState::start(),
        }
    }

    /// Whether no byte of the next message has been read.
    pub(super) fn is_at_start(&self) -> bool {
        matches!(&self.state, ReaderState::Head { bytes, .. } if bytes.is_empty())
    }

    /// Whether the reader is in a head. A complete head counts until its body begins.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, ReaderState::Head { .. })
    }

    /// The complete head that was read last, until its body begins.
    pub(super) fn complete_head(&self) -> Option<&[u8]> {
        match &self.state {
            ReaderState::Head { bytes, .. } if bytes.ends_with(b"\r\n\r\n") => Some(bytes),
            _ => None,
        }
    }

    /// Begins the body of the message, whose head is complete. Returns whether the message is
    /// already complete.
    pub(super) fn begin_body(&mut self, framing: Framing) -> bool {
        self.state = match framing {
            Framing::Length(0) => ReaderState::start(),
            Framing::Length(length) => ReaderState::Body(length),
            Framing::Chunked => ReaderState::Chunks(ChunkReader::new()),
            Framing::UntilClose => ReaderState::UntilClose,
        };
        self.is_at_start()
    }

    /// Reads bytes of one part of a message, and returns their number. `bytes` must not be empty.
    ///
    /// # Errors
    ///
    /// When the bytes are no message of HTTP/1.0 or HTTP/1.1.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Part), String> {
        match &mut self.state {
            ReaderState::Head {
                bytes: head,
                has_line,
            } => {
                let mut length = 0;
                while length < bytes.len() && !head.ends_with(b"\r\n\r\n") {
                    let had_line = *has_line;
                    let line = read_line(head, &bytes[length..]);
                    if !had_line && !skips_line(self.sender, head) {
                        check_start(self.sender, head)?;
                    }
                    let (read, has_ended) = line.map_err(|error| in_head(self.sender, &error))?;
                    length += read;
                    *has_line |= has_ended;
                    if has_ended && skips_line(self.sender, head) {
                        (*head, *has_line) = (Vec::new(), false);
                    }
                    if head.len() > LONGEST_HEAD {
                        let longest = LONGEST_HEAD >> 10;
                        return Err(format!("a head of more than {longest} KiB"));
                    }
                }
                Ok((length, Part::Head))
            }
            ReaderState::Body(left) => {
                let length =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= length as u64;
                if *left == 0 {
                    self.state = ReaderState::start();
                }
                Ok((length, Part::Data))
            }
            ReaderState::Chunks(chunks) => {
                let read = chunks.read(bytes)?;
                if matches!(chunks, ChunkReader::Complete) {
                    self.state = ReaderState::start();
                }
                Ok(read)
            }
            ReaderState::UntilClose => Ok((bytes.len(), Part::Data)),
        }
    }
}

/// Whether the head so far is an empty line before a request, which servers skip.
// RFC 9112, section 2.2: old clients send an empty line after the body of a request.
fn skips_line(sender: Sender, head: &[u8]) -> bool {
    sender == Sender::Client && matches!(head, b"\r" | b"\r\n")
}

fn check_start(sender: Sender, head: &[u8]) -> Result<(), String> {
    match sender {
        Sender::Client => super::head::check_request_start(head),
        Sender::Server => super::head::check_response_start(head),
    }
}

fn in_head(sender: Sender, error: &str) -> String {
    let message = match sender {
        Sender::Client => "request",
        Sender::Server => "response",
    };
    format!("{error} in the head of a {message}")
}
