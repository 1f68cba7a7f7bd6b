//! Decompresses a request body while it arrives.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::budget::Reservation;
use super::coding::ContentCoding;
use crate::Reason;
use crate::predictor::Failure;

/// An upper bound on the memory of a decoder, in bytes. Excludes the decompressed body.
// The window has 32 KiB, the Huffman tables have 11 KiB, and flate2 buffers 32 KiB.
const DECODER_BYTES: usize = 96 << 10;

/// The maximum number of members of a gzip body.
// Each member needs a new decoder. Without a limit, empty members would take much processor time.
const MAX_MEMBERS: usize = 1024;

/// A decompressor whose output never exceeds a limit.
pub(super) struct Decoder {
    format: StreamFormat,
    coding: ContentCoding,
    /// The number of gzip members that have ended.
    members: usize,
}

/// The format of the compressed bytes.
enum StreamFormat {
    /// No byte has arrived, so the format is unknown.
    Unknown(BoundedBody),
    Gzip(GzDecoder<BoundedBody>),
    Zlib(ZlibDecoder<BoundedBody>),
    Raw(DeflateDecoder<BoundedBody>),
    /// An error has ended the decompression.
    Failed,
}

/// The decompressed part of a body, with the reservation for its memory.
struct BoundedBody {
    bytes: Vec<u8>,
    memory: Reservation,
    limit: usize,
    /// The reason for the failure of a write.
    failure: Option<Failure>,
}

impl Decoder {
    /// Creates a decompressor for a body of at most `limit` decompressed bytes. `memory` grows with
    /// the body.
    pub(super) fn new(
        coding: ContentCoding,
        limit: usize,
        mut memory: Reservation,
    ) -> Result<Self, Failure> {
        memory.grow_to(DECODER_BYTES, "the decompressor of the body")?;
        let body = BoundedBody {
            bytes: Vec::new(),
            memory,
            limit,
            failure: None,
        };
        Ok(Self {
            format: StreamFormat::Unknown(body),
            coding,
            members: 0,
        })
    }

    /// Decompresses a first part of `compressed`, which must not be empty. Returns the length of
    /// this part, at least 1.
    ///
    /// One call appends at most 64 KiB to the body, so that the caller can yield between calls.
    pub(super) fn write(&mut self, compressed: &[u8]) -> Result<usize, Failure> {
        if let StreamFormat::Unknown(_) = self.format {
            self.format = match std::mem::replace(&mut self.format, StreamFormat::Failed) {
                StreamFormat::Unknown(body) => StreamFormat::of(self.coding, compressed, body),
                known => known,
            };
        }
        let mut written = self.format.write(compressed);
        if let (Ok(0), StreamFormat::Gzip(_)) = (&written, &self.format) {
            self.start_member()?;
            written = self.format.write(compressed);
        }
        match written {
            Ok(0) => Err(self.invalid("expected its end, found more bytes")),
            Ok(count) => Ok(count),
            Err(error) => Err(self.failure_of(&error)),
        }
    }

    /// Ends a gzip member, and starts the next one.
    fn start_member(&mut self) -> Result<(), Failure> {
        self.members += 1;
        if self.members == MAX_MEMBERS {
            let why = format!("expected at most {MAX_MEMBERS} gzip members, found more");
            return Err(self.invalid(&why));
        }
        let body = self.end_format()?;
        self.format = StreamFormat::Gzip(GzDecoder::new(body));
        Ok(())
    }

    /// Writes the last bytes to the body, and checks that the compressed bytes are complete.
    fn end_format(&mut self) -> Result<BoundedBody, Failure> {
        // Ends the format in place first, because an error of the body is read from there.
        let ended = match self.format.try_finish() {
            Ok(()) => std::mem::replace(&mut self.format, StreamFormat::Failed).finish(),
            Err(error) => Err(error),
        };
        ended.map_err(|error| self.failure_of(&error))
    }

    /// Ends the body, and returns its bytes with the reservation for their memory.
    pub(super) fn finish(mut self) -> Result<(Vec<u8>, Reservation), Failure> {
        let mut body = self.end_format()?;
        body.memory.shrink_to(body.bytes.capacity());
        Ok((body.bytes, body.memory))
    }

    /// The failure of the request for an error of the decompression.
    fn failure_of(&mut self, error: &io::Error) -> Failure {
        let refused = self.format.body().and_then(|body| body.failure.take());
        refused.unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.invalid("it is incomplete"),
            _ => self.invalid(&error.to_string()),
        })
    }

    fn invalid(&self, why: &str) -> Failure {
        Failure::new(
            Reason::InvalidRequest,
            format!("cannot decompress the {} body: {why}", self.coding.as_str()),
        )
    }
}

impl StreamFormat {
    /// The format of a body that starts with `compressed`.
    ///
    /// A `deflate` body is in the zlib format if its first byte can be the first byte of that
    /// format. Otherwise it is in the raw format.
    // A raw body can have such a first byte only if its first block is stored, and the bit after
    // the block's header is 1. Compressors write 0 there.
    fn of(coding: ContentCoding, compressed: &[u8], body: BoundedBody) -> Self {
        let is_zlib = |first: &u8| first & 0x0f == 8 && first >> 4 <= 7;
        match coding {
            ContentCoding::Gzip => Self::Gzip(GzDecoder::new(body)),
            ContentCoding::Deflate if compressed.first().is_some_and(is_zlib) => {
                Self::Zlib(ZlibDecoder::new(body))
            }
            ContentCoding::Deflate => Self::Raw(DeflateDecoder::new(body)),
        }
    }

    fn write(&mut self, compressed: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.write(compressed),
            Self::Zlib(decoder) => decoder.write(compressed),
            Self::Raw(decoder) => decoder.write(compressed),
            Self::Unknown(_) | Self::Failed => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn try_finish(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
            Self::Unknown(_) | Self::Failed => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn finish(self) -> io::Result<BoundedBody> {
        match self {
            Self::Gzip(decoder) => decoder.finish(),
            Self::Zlib(decoder) => decoder.finish(),
            Self::Raw(decoder) => decoder.finish(),
            Self::Unknown(_) | Self::Failed => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn body(&mut self) -> Option<&mut BoundedBody> {
        match self {
            Self::Unknown(body) => Some(body),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Raw(decoder) => Some(decoder.get_mut()),
            Self::Failed => None,
        }
    }
}

impl BoundedBody {
    /// Appends bytes. Reserves memory before each allocation.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let size = self.bytes.len() + bytes.len();
        if size > self.limit {
            return Err(Failure::new(
                Reason::PayloadTooLarge,
                format!(
                    "expected a body of at most {} bytes after decompression",
                    self.limit
                ),
            ));
        }
        if size > self.bytes.capacity() {
            let ample = size.max(2 * self.bytes.capacity()).min(self.limit);
            let capacity = match self.reserve(ample) {
                Ok(()) => ample,
                Err(_) => self.reserve(size).map(|()| size)?,
            };
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), Failure> {
        let purpose = "the decompressed body";
        self.memory.grow_to(DECODER_BYTES + capacity, purpose)
    }
}

impl Write for BoundedBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map(|()| bytes.len()).map_err(|failure| {
            // A decoder writes the rest of its output when it is dropped. With this limit, that
            // write fails, too.
            self.limit = 0;
            self.failure.get_or_insert(failure);
            io::ErrorKind::OutOfMemory.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
