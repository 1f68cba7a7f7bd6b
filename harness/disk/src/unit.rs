//! The changes of metadata, of which each call makes at most one.

use crate::journal::Part;

/// The number of a metadata change, and of one of its parts.
pub(crate) type PartId = (usize, usize);

/// The metadata change of one call.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    /// The index of the change in the journal's log.
    pub(crate) index: usize,
    pub(crate) call: usize,
    pub(crate) parts: &'a [Part],
}
