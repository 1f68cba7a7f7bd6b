//! The prefixes of the metadata changes, of which a journaled disk has one.

use crate::log_tree::Optional;
use std::iter;

/// All changes before the one with this number, and the optional changes with this number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    pub(crate) end: usize,
    pub(crate) optional: Option<usize>,
}

/// All prefixes: at first those without optional changes, then those with each of them.
#[derive(Debug)]
pub(crate) struct Prefixes {
    /// The ends that give different states, ascending. The last one loses nothing.
    ends: Vec<usize>,
    /// For each of the optional changes, the number of prefixes before its first one.
    ///
    /// At last, the number of all prefixes.
    starts: Vec<usize>,
}

impl Prefixes {
    pub(crate) fn new(ends: Vec<usize>, optional: &[Optional]) -> Self {
        let mut starts = vec![ends.len()];
        for optional in optional {
            // Optional changes within the prefix add nothing.
            let count = ends.partition_point(|end| *end <= optional.last);
            starts.push(starts[starts.len() - 1] + count);
        }
        Self { ends, starts }
    }

    /// Returns the number of prefixes.
    pub(crate) fn len(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    /// Returns the prefix with this number, below [`len`](Self::len).
    pub(crate) fn nth(&self, number: usize) -> Prefix {
        let optional = self.starts.partition_point(|start| *start <= number);
        match optional.checked_sub(1) {
            None => self.prefix(number, None),
            Some(optional) => self.prefix(number - self.starts[optional], Some(optional)),
        }
    }

    /// Returns the prefix that loses nothing.
    pub(crate) fn complete(&self) -> Prefix {
        self.prefix(self.ends.len() - 1, None)
    }

    /// Lists the prefixes without optional changes, the shortest first.
    pub(crate) fn plain(&self) -> impl DoubleEndedIterator<Item = Prefix> {
        (0..self.ends.len()).map(|end| self.prefix(end, None))
    }

    /// Lists the prefixes with the optional changes of this number, the shortest first.
    pub(crate) fn with_optional(&self, number: usize) -> impl DoubleEndedIterator<Item = Prefix> {
        let count = self.starts[number + 1] - self.starts[number];
        (0..count).map(move |end| self.prefix(end, Some(number)))
    }

    /// Lists the shortest prefix with each of the optional changes, and the number of the changes.
    pub(crate) fn shortest_with_optional(&self) -> impl Iterator<Item = (usize, Prefix)> {
        let numbers = 0..self.starts.len() - 1;
        numbers.flat_map(|number| iter::repeat(number).zip(self.with_optional(number).take(1)))
    }

    fn prefix(&self, end: usize, optional: Option<usize>) -> Prefix {
        Prefix {
            end: self.ends[end],
            optional,
        }
    }
}
