//! Constant tensors of a model.

use super::element_type::ElementType;
use super::reader::{Field, ProtoMessage, UnreadableGraph, once};

/// A constant tensor.
#[derive(Clone, Debug)]
pub(crate) struct ConstantTensor<'a> {
    pub(crate) name: &'a str,
    pub(crate) element: ElementType,
    pub(crate) shape: Vec<i64>,
    elements: StoredElements<'a>,
}

#[derive(Clone, Debug)]
enum StoredElements<'a> {
    Raw(&'a [u8]),
    /// The integers of `int32_data` and `int64_data`.
    Integers(Vec<i64>),
    Floats(Vec<f32>),
    External {
        location: &'a str,
        offset: usize,
        length: Option<usize>,
    },
    /// Of a type whose values are never read.
    Unread,
}

/// Finds the bytes of an external file by its location.
pub(crate) type ExternalFiles<'f> = dyn Fn(&str) -> Option<&'f [u8]> + 'f;

impl<'a> ConstantTensor<'a> {
    pub(super) fn read(message: &ProtoMessage<'a>) -> Result<Self, UnreadableGraph> {
        let (mut name, mut element, mut raw, mut is_external) = (None, None, None, None);
        let (mut shape, mut integers, mut floats) = (Vec::new(), Vec::new(), Vec::new());
        let (mut location, mut offset, mut length) = (None, None, None);
        let mut has_others = false;
        message.each(|number, field| {
            match number {
                1 => field.integers(&mut shape)?,
                2 => once(&mut element, field.integer()?)?,
                3 => return Err(UnreadableGraph("a tensor is a segment of another")),
                4 => field.floats(&mut floats)?,
                5 | 7 => field.integers(&mut integers)?,
                6 | 10 | 11 => has_others = true,
                8 => once(&mut name, field.text()?)?,
                9 => once(&mut raw, field.message()?.content())?,
                13 => match read_entry(&field.message()?)? {
                    ("location", value) => once(&mut location, value)?,
                    ("offset", value) => once(&mut offset, value.parse().ok())?,
                    ("length", value) => once(&mut length, value.parse().ok())?,
                    _ => {}
                },
                14 => once(&mut is_external, field.integer()? == 1)?,
                _ => {}
            }
            Ok(())
        })?;
        let kinds = [
            raw.is_some(),
            !integers.is_empty(),
            !floats.is_empty(),
            has_others,
            is_external == Some(true),
        ];
        if kinds.into_iter().filter(|is_there| *is_there).count() > 1 {
            return Err(UnreadableGraph("a tensor has its elements in two fields"));
        }
        let elements = match (raw, is_external, location) {
            (_, Some(true), Some(location)) => match (offset, length) {
                // The model runtime gives a better error message.
                (Some(None), _) | (_, Some(None)) => StoredElements::Unread,
                (offset, length) => StoredElements::External {
                    location,
                    offset: offset.flatten().unwrap_or(0),
                    length: length.flatten(),
                },
            },
            (_, Some(true), None) => {
                return Err(UnreadableGraph("external elements have no location"));
            }
            (Some(raw), ..) => StoredElements::Raw(raw),
            _ if has_others => StoredElements::Unread,
            _ if !floats.is_empty() => StoredElements::Floats(floats),
            _ => StoredElements::Integers(integers),
        };
        Ok(Self {
            name: name.unwrap_or(""),
            element: ElementType(element.unwrap_or(0)),
            shape,
            elements,
        })
    }

    /// A vector of integers, of type INT64.
    pub(crate) fn of_integers(integers: Vec<i64>, shape: Vec<i64>) -> Self {
        Self {
            name: "",
            element: ElementType::INT64,
            shape,
            elements: StoredElements::Integers(integers),
        }
    }

    /// Numbers of type FLOAT.
    pub(crate) fn of_floats(floats: Vec<f32>, shape: Vec<i64>) -> Self {
        Self {
            name: "",
            element: ElementType::FLOAT,
            shape,
            elements: StoredElements::Floats(floats),
        }
    }

    /// The number of elements; `None` if it is negative or overflows.
    pub(crate) fn count(&self) -> Option<usize> {
        let mut sizes = self.shape.iter();
        sizes.try_fold(1_usize, |count, size| {
            count.checked_mul(usize::try_from(*size).ok()?)
        })
    }

    /// Calls `take` with each element of a tensor of integers or booleans. Returns `None` if the
    /// type is another or the elements do not fit the shape.
    pub(crate) fn each_integer(
        &self,
        files: &ExternalFiles<'_>,
        mut take: impl FnMut(i64),
    ) -> Option<()> {
        let mut count = 0;
        let mut take = |value: i64| {
            count += 1;
            take(value);
        };
        match &self.elements {
            StoredElements::Integers(integers) => {
                for &value in integers {
                    take(value);
                }
                if !self.can_hold(integers) {
                    return None;
                }
            }
            _ => self.decode(self.bytes(files)?, &mut take)?,
        }
        (Some(count) == self.count()).then_some(())
    }

    /// The elements of a tensor of type FLOAT; `None` if the type is another or the elements do not
    /// fit the shape.
    pub(crate) fn floats(&self, files: &ExternalFiles<'_>) -> Option<Vec<f32>> {
        if self.element != ElementType::FLOAT {
            return None;
        }
        let numbers = match &self.elements {
            StoredElements::Floats(floats) => floats.clone(),
            StoredElements::Integers(none) if none.is_empty() => Vec::new(),
            _ => {
                let (chunks, rest) = self.bytes(files)?.as_chunks::<4>();
                if !rest.is_empty() {
                    return None;
                }
                chunks
                    .iter()
                    .map(|chunk| f32::from_le_bytes(*chunk))
                    .collect()
            }
        };
        (Some(numbers.len()) == self.count()).then_some(numbers)
    }

    /// Whether the fields `int32_data` and `int64_data` hold values of the type.
    fn can_hold(&self, integers: &[i64]) -> bool {
        let fits = |value: &i64| match self.element {
            ElementType::INT64 => true,
            ElementType::INT32 => i32::try_from(*value).is_ok(),
            ElementType::UINT8 => u8::try_from(*value).is_ok(),
            ElementType::INT8 => i8::try_from(*value).is_ok(),
            ElementType::BOOL => matches!(value, 0 | 1),
            _ => false,
        };
        integers.iter().all(fits)
    }

    fn decode(&self, bytes: &[u8], take: &mut dyn FnMut(i64)) -> Option<()> {
        match self.element {
            ElementType::INT64 => {
                let chunks = bytes.as_chunks::<8>().0.iter();
                chunks.for_each(|chunk| take(i64::from_le_bytes(*chunk)));
            }
            ElementType::INT32 => {
                let chunks = bytes.as_chunks::<4>().0.iter();
                chunks.for_each(|chunk| take(i32::from_le_bytes(*chunk).into()));
            }
            ElementType::UINT8 => bytes.iter().for_each(|byte| take((*byte).into())),
            ElementType::INT8 => bytes
                .iter()
                .for_each(|byte| take(byte.cast_signed().into())),
            ElementType::BOOL => bytes.iter().for_each(|byte| take((*byte != 0).into())),
            _ => return None,
        }
        Some(())
    }

    fn bytes<'s>(&'s self, files: &'s ExternalFiles<'_>) -> Option<&'s [u8]> {
        match &self.elements {
            StoredElements::Raw(bytes) => Some(bytes),
            StoredElements::External {
                location,
                offset,
                length,
            } => {
                let rest = files(location)?.get(*offset..)?;
                match length {
                    Some(length) => rest.get(..*length),
                    None => Some(rest),
                }
            }
            _ => None,
        }
    }
}

fn read_entry<'a>(message: &ProtoMessage<'a>) -> Result<(&'a str, &'a str), UnreadableGraph> {
    let (mut key, mut value) = (None, None);
    message.each(|number, field: Field<'a>| match number {
        1 => once(&mut key, field.text()?),
        2 => once(&mut value, field.text()?),
        _ => Ok(()),
    })?;
    Ok((key.unwrap_or(""), value.unwrap_or("")))
}
