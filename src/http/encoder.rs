//! Compresses response bodies.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::coding::ContentCoding;

/// An upper bound on the memory of a compressor, in bytes. Excludes the compressed body.
pub(super) const ENCODER_BYTES: usize = 512 << 10;

/// Compresses a body. Returns `None` if the result has more than `limit` bytes.
///
/// Allocates at most `limit` bytes for the result.
// The fastest level, because the processor time of an answer matters more than its last bytes.
pub(super) fn compress(body: &[u8], coding: ContentCoding, limit: usize) -> Option<Vec<u8>> {
    let bounded = BoundedBytes {
        bytes: Vec::with_capacity(limit),
        limit,
    };
    let level = Compression::fast();
    let compressed = match coding {
        ContentCoding::Gzip => {
            let mut encoder = GzEncoder::new(bounded, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        ContentCoding::Deflate => {
            let mut encoder = ZlibEncoder::new(bounded, level);
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
    };
    let mut bytes = compressed.ok()?.bytes;
    bytes.shrink_to_fit();
    Some(bytes)
}

/// An upper bound on the compressed size of `size` bytes.
// Data that cannot be compressed grows by 5 bytes for each stored block of 31 KiB or more.
pub(super) fn max_bytes(size: usize) -> usize {
    size + size / 1024 + 256
}

struct BoundedBytes {
    bytes: Vec<u8>,
    limit: usize,
}

impl Write for BoundedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            // A compressor writes the rest of its output when it is dropped. With this limit, that
            // write fails, too.
            self.limit = 0;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn compressed_body_decompresses_to_the_same_bytes() {
        let body = "[0.25,0.5,0.75]".repeat(10_000);
        for (coding, decoder) in [
            (ContentCoding::Gzip, gunzip as fn(&[u8]) -> Vec<u8>),
            (ContentCoding::Deflate, inflate),
        ] {
            let compressed = compress(body.as_bytes(), coding, body.len()).unwrap();
            assert!(compressed.len() < body.len() / 10, "{coding:?}");
            assert_eq!(decoder(&compressed), body.as_bytes(), "{coding:?}");
        }
    }

    #[test]
    fn compress_beyond_the_limit_gives_none() {
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        let noise: Vec<u8> = (0..100_000).map(|_| random()).collect();
        for coding in [ContentCoding::Gzip, ContentCoding::Deflate] {
            assert_eq!(
                compress(&noise, coding, noise.len() - 1),
                None,
                "{coding:?}"
            );
            assert!(compress(&noise, coding, max_bytes(noise.len())).is_some());
        }
    }

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(bytes);
        decoder.read_to_end(&mut read).unwrap();
        read
    }

    fn inflate(bytes: &[u8]) -> Vec<u8> {
        let mut read = Vec::new();
        let mut decoder = flate2::read::ZlibDecoder::new(bytes);
        decoder.read_to_end(&mut read).unwrap();
        read
    }
}
