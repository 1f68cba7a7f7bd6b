//! The compressed bodies were made by `gzip` and `zlib` of Python 3.11, which use the zlib library.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::http::budget::Budget;

const TEXT: &[u8] = br#"{"inputs": [1, 2, 3, 1, 2, 3, 1, 2, 3]}"#;

/// `gzip.compress(TEXT, 9, mtime=0)`
const GZIP: &str =
    "1f8b0800000000000203ab56cacc2b282d2956b2528836d45130d25130d6514067c4d602001a4f7a8227000000";
/// With an extra field, a file name, a comment and a checksum of the header.
const GZIP_LONG_HEADER: &str = "1f8b081e00f1536500030600414202007879626f64792e6a736f6e006120636f6d6d656e74001a2aab56cacc2b282d2956b2528836d45130d25130d6514067c4d602001a4f7a8227000000";
/// `zlib.compress(TEXT, 6)`
const ZLIB: &str = "789cab56cacc2b282d2956b2528836d45130d25130d6514067c4d60200ca940914";
/// `zlib.compressobj(6, zlib.DEFLATED, -15)`
const RAW: &str = "ab56cacc2b282d2956b2528836d45130d25130d6514067c4d60200";
/// `zlib.compressobj(0, zlib.DEFLATED, -15)`
const RAW_STORED: &str =
    "012700d8ff7b22696e70757473223a205b312c20322c20332c20312c20322c20332c20312c20322c20335d7d";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

/// Decompresses a body that arrives in pieces of `piece` bytes.
fn decode(
    coding: ContentCoding,
    compressed: &[u8],
    piece: usize,
    limit: usize,
    budget: &Budget,
) -> Result<(Vec<u8>, Reservation), Failure> {
    let mut decoder = Decoder::new(coding, limit, budget.reserve(0, "a body").unwrap())?;
    for mut rest in compressed.chunks(piece) {
        while !rest.is_empty() {
            let count = decoder.write(rest)?;
            assert!((1..=rest.len()).contains(&count));
            rest = &rest[count..];
        }
    }
    decoder.finish()
}

fn decode_all(coding: ContentCoding, compressed: &[u8], piece: usize) -> Result<Vec<u8>, Failure> {
    let budget = Budget::new(1 << 20);
    let (bytes, _) = decode(coding, compressed, piece, 1 << 20, &budget)?;
    Ok(bytes)
}

const BODIES: [(ContentCoding, &str); 5] = [
    (ContentCoding::Gzip, GZIP),
    (ContentCoding::Gzip, GZIP_LONG_HEADER),
    (ContentCoding::Deflate, ZLIB),
    (ContentCoding::Deflate, RAW),
    (ContentCoding::Deflate, RAW_STORED),
];

#[test]
fn body_in_pieces_is_decompressed() {
    for (coding, compressed) in BODIES {
        let compressed = bytes(compressed);
        for piece in 1..=compressed.len() {
            let read = decode_all(coding, &compressed, piece).unwrap();
            assert_eq!(read, TEXT, "{coding:?} in pieces of {piece}");
        }
    }
    let members = [bytes(GZIP), bytes(GZIP_LONG_HEADER), bytes(GZIP)].concat();
    for piece in 1..=members.len() {
        let read = decode_all(ContentCoding::Gzip, &members, piece).unwrap();
        assert_eq!(read, TEXT.repeat(3), "in pieces of {piece}");
    }
}

#[test]
fn truncated_body_is_an_invalid_request() {
    for (coding, compressed) in BODIES {
        let compressed = bytes(compressed);
        for length in 0..compressed.len() {
            for piece in [1, 1000] {
                let refused = decode_all(coding, &compressed[..length], piece).unwrap_err();
                assert_eq!(refused.reason, Reason::InvalidRequest, "{length} bytes");
                let says = format!("cannot decompress the {} body: ", coding.as_str());
                assert!(refused.detail.starts_with(&says), "{}", refused.detail);
            }
        }
    }
}

/// The raw format has no checksum, so it is left out.
#[test]
fn flipped_bit_never_gives_another_body() {
    for (coding, compressed) in &BODIES[..3] {
        let good = bytes(compressed);
        let mut refused = 0;
        for bit in 0..8 * good.len() {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match decode_all(*coding, &flipped, 1000) {
                Ok(read) => assert_eq!(read, TEXT, "{coding:?}, bit {bit}"),
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.reason, Reason::InvalidRequest, "{}", error.detail);
                }
            }
        }
        // Bits of the time, the system, the extra field, the name and the comment are ignored.
        assert!(refused > good.len(), "{coding:?}: {refused} flips refused");
    }
}

#[test]
fn bytes_after_the_end_are_an_invalid_request() {
    for (coding, compressed) in BODIES {
        let longer = [&bytes(compressed)[..], b"x"].concat();
        for piece in [1, 1000] {
            let refused = decode_all(coding, &longer, piece).unwrap_err();
            assert_eq!(refused.reason, Reason::InvalidRequest, "{coding:?}");
        }
    }
    let empty = {
        let encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.finish().unwrap()
    };
    let most = empty.repeat(MAX_MEMBERS);
    assert_eq!(decode_all(ContentCoding::Gzip, &most, 1000).unwrap(), b"");
    let more = empty.repeat(MAX_MEMBERS + 1);
    let refused = decode_all(ContentCoding::Gzip, &more, 1000).unwrap_err();
    assert!(refused.detail.contains("at most 1024 gzip members"));
}

/// A gzip body of zeros.
fn zeros(size: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; size]).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn bomb_is_refused_at_the_limit_and_returns_its_memory() {
    let budget = Budget::new(1 << 20);
    let bomb = zeros(64 << 20);
    assert!(bomb.len() < 80 << 10, "{} bytes", bomb.len());
    for (limit, reason) in [
        (64 << 10, Reason::PayloadTooLarge),
        // The limit is larger than the memory.
        (16 << 20, Reason::PayloadTooLarge),
    ] {
        let refused = decode(ContentCoding::Gzip, &bomb, 4096, limit, &budget).unwrap_err();
        assert_eq!(refused.reason, reason);
        drop(budget.reserve(1 << 20, "everything").unwrap());
    }
    let others = budget.reserve(512 << 10, "others").unwrap();
    let refused = decode(ContentCoding::Gzip, &bomb, 4096, 16 << 20, &budget).unwrap_err();
    assert_eq!(refused.reason, Reason::Overloaded);
    drop(others);
    drop(budget.reserve(1 << 20, "everything").unwrap());
}

#[test]
fn memory_of_a_body_is_reserved_and_at_most_the_limit() {
    let limit = 300 << 10;
    let budget = Budget::new(limit + DECODER_BYTES);
    let exactly = zeros(limit);
    let (bytes, memory) = decode(ContentCoding::Gzip, &exactly, 100, limit, &budget).unwrap();
    assert_eq!((bytes.len(), bytes.capacity()), (limit, limit));
    assert!(budget.reserve(DECODER_BYTES + 1, "another").is_err());
    drop(budget.reserve(DECODER_BYTES, "another").unwrap());
    drop(memory);
    let over = zeros(limit + 1);
    let refused = decode(ContentCoding::Gzip, &over, 100, limit, &budget).unwrap_err();
    assert_eq!(refused.reason, Reason::PayloadTooLarge);
}
