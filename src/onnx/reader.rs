//! Reads the fields of protobuf messages, within bounds.

use std::ops::Range;

use super::protobuf::{ProtoField, ProtoValue, read_varint};

/// The reason why a model's graph cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadableGraph(pub(crate) &'static str);

/// The largest depth of nested graphs.
pub(crate) const MAX_DEPTH: usize = 32;

/// A message inside the bytes of a model.
#[derive(Clone, Debug)]
pub(super) struct ProtoMessage<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) range: Range<usize>,
}

/// The value of one field.
#[derive(Clone, Debug)]
pub(super) enum Field<'a> {
    Varint(u64),
    /// A number of 4 or 8 bytes, little-endian.
    Fixed(&'a [u8]),
    Message(ProtoMessage<'a>),
}

impl<'a> ProtoMessage<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let range = 0..bytes.len();
        Self { bytes, range }
    }

    /// Calls `take` with the number and the value of each field, in the order of the message.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(u64, Field<'a>) -> Result<(), UnreadableGraph>,
    ) -> Result<(), UnreadableGraph> {
        let mut at = self.range.start;
        while at < self.range.end {
            let field = ProtoField::read(self.bytes, at..self.range.end).ok_or(UnreadableGraph(
                "a field of a message is cut off or has no type",
            ))?;
            at = field.whole.end;
            let value = match field.value {
                ProtoValue::Varint(value) => Field::Varint(value),
                ProtoValue::Bytes(range) => Field::Message(Self {
                    bytes: self.bytes,
                    range,
                }),
                ProtoValue::Fixed => {
                    let tag = self.tag_length(&field.whole)?;
                    Field::Fixed(&self.bytes[field.whole.start + tag..field.whole.end])
                }
            };
            take(field.number, value)?;
        }
        Ok(())
    }

    fn tag_length(&self, field: &Range<usize>) -> Result<usize, UnreadableGraph> {
        let mut at = field.start;
        read_varint(self.bytes, &mut at, field.end)
            .ok_or(UnreadableGraph("a field has no number"))?;
        Ok(at - field.start)
    }

    /// The bytes of the message.
    pub(super) fn content(&self) -> &'a [u8] {
        &self.bytes[self.range.clone()]
    }

    pub(super) fn text(&self) -> Result<&'a str, UnreadableGraph> {
        std::str::from_utf8(self.content()).map_err(|_| UnreadableGraph("a name is not UTF-8"))
    }
}

impl<'a> Field<'a> {
    pub(super) fn message(self) -> Result<ProtoMessage<'a>, UnreadableGraph> {
        match self {
            Self::Message(message) => Ok(message),
            _ => Err(UnreadableGraph(
                "a field has a number in place of a message",
            )),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, UnreadableGraph> {
        self.message()?.text()
    }

    pub(super) fn integer(self) -> Result<i64, UnreadableGraph> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err(UnreadableGraph("a field has no integer")),
        }
    }

    pub(super) fn float(self) -> Result<f32, UnreadableGraph> {
        match self {
            Self::Fixed(&[a, b, c, d]) => Ok(f32::from_le_bytes([a, b, c, d])),
            _ => Err(UnreadableGraph("a field has no number of 32 bits")),
        }
    }

    /// Adds the integers of a repeated field, which can be packed.
    pub(super) fn integers(self, to: &mut Vec<i64>) -> Result<(), UnreadableGraph> {
        let Self::Message(message) = self else {
            to.push(self.integer()?);
            return Ok(());
        };
        let mut at = message.range.start;
        while at < message.range.end {
            let value = read_varint(message.bytes, &mut at, message.range.end);
            to.push(
                value
                    .ok_or(UnreadableGraph("a list of integers is cut off"))?
                    .cast_signed(),
            );
        }
        Ok(())
    }

    /// Adds the numbers of a repeated field of 32-bit floats, which can be packed.
    pub(super) fn floats(self, to: &mut Vec<f32>) -> Result<(), UnreadableGraph> {
        let Self::Message(message) = self else {
            to.push(self.float()?);
            return Ok(());
        };
        let (chunks, rest) = message.content().as_chunks::<4>();
        if !rest.is_empty() {
            return Err(UnreadableGraph("a list of numbers is cut off"));
        }
        to.extend(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)));
        Ok(())
    }
}

/// Sets a field that a message has at most once.
// Readers of protobuf disagree on a repeated field: some merge the messages, others take the last.
pub(super) fn once<T>(to: &mut Option<T>, value: T) -> Result<(), UnreadableGraph> {
    match to.replace(value) {
        None => Ok(()),
        Some(_) => Err(UnreadableGraph("a field that must be single is repeated")),
    }
}
