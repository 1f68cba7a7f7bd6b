//! The elements of BYTES tensors.

use std::fmt;

/// The elements of a BYTES tensor: byte strings of any lengths.
///
/// An element is often text, but need not be UTF-8. All elements share one allocation.
///
/// ```
/// use clarity::ByteStrings;
///
/// let names: ByteStrings = ["one", "two"].into_iter().collect();
/// assert_eq!(names.get(1), Some(&b"two"[..]));
/// assert_eq!(names.iter().map(<[u8]>::len).sum::<usize>(), 6);
/// ```
// A `Vec<Vec<u8>>` would need an allocation and 24 bytes for each element: a request of many short
// strings would need many times its own size.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ByteStrings {
    /// The bytes of all elements, one after the other.
    bytes: Vec<u8>,
    /// The end of each element in `bytes`, which is the start of the next one.
    ends: Vec<usize>,
}

impl ByteStrings {
    /// No elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// No elements, with memory for `count` elements of `bytes` bytes together.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(count),
        }
    }

    /// Appends an element.
    ///
    /// # Panics
    ///
    /// When the element has more than `u32::MAX` bytes, the maximum of the protocol.
    pub fn push(&mut self, element: &[u8]) {
        assert!(
            u32::try_from(element.len()).is_ok(),
            "expected at most {} bytes in an element of BYTES, found {}",
            u32::MAX,
            element.len()
        );
        self.bytes.extend_from_slice(element);
        self.ends.push(self.bytes.len());
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The element at `index`; `None` if there are fewer elements.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    /// The elements in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let element = &self.bytes[start..end];
            start = end;
            element
        })
    }

    /// The bytes of all elements, one after the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The size in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.ends)
    }
}

impl<T: AsRef<[u8]>> Extend<T> for ByteStrings {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.push(element.as_ref());
        }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for ByteStrings {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut list = Self::new();
        list.extend(elements);
        list
    }
}

impl fmt::Debug for ByteStrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |element| String::from_utf8_lossy(element);
        f.debug_list().entries(self.iter().map(text)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_all_lengths_keep_their_order() {
        let elements: [&[u8]; 5] = [b"", b"one", b"", b"\xff\0", b""];
        let list: ByteStrings = elements.into_iter().collect();
        assert_eq!(list.len(), 5);
        assert_eq!(list.iter().collect::<Vec<_>>(), elements);
        for (index, element) in elements.into_iter().enumerate() {
            assert_eq!(list.get(index), Some(element));
        }
        assert_eq!(list.get(5), None);
        assert_eq!(list.size(), 5 + 5 * size_of::<usize>());
        assert_eq!(format!("{list:?}"), r#"["", "one", "", "�\0", ""]"#);
    }

    #[test]
    fn elements_with_the_same_bytes_and_other_ends_differ() {
        let list = |elements: [&str; 2]| elements.into_iter().collect::<ByteStrings>();
        assert_ne!(list(["ab", "c"]), list(["a", "bc"]));
        assert_eq!(list(["ab", "c"]), list(["ab", "c"]));
        assert!(ByteStrings::new().is_empty() && !list(["", ""]).is_empty());
    }
}
