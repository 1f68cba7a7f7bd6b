//! The parts of a message.

/// The longest head of a message, and the longest trailer section.
pub(super) const LONGEST_HEAD: usize = 256 << 10;

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::test::network) enum Part {
    Head,
    /// Bytes of the content.
    Data,
    /// Bytes of the line with the size of a chunk. The size may be 0.
    ChunkSize,
    /// The end of the line after the data of a chunk.
    ChunkEnd,
    /// The last chunk, which has no data, and the trailer section. Does not include the bytes of
    /// the last chunk that were already read as [`Part::ChunkSize`].
    LastChunk,
}
