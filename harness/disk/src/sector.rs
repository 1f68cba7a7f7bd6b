//! The bytes that one sector of a file can have after a loss of power.

use crate::durable_bytes::DurableBytes;
use crate::file_events::FileEvent;
use std::ops::Range;

/// A sector, and its possible bytes.
#[derive(Debug)]
pub(crate) struct Sector {
    /// The number of the sector in the file.
    pub(crate) number: usize,
    /// The possible bytes, without duplicates: at first the durable ones, then those after each
    /// write, and the zeros of a truncation.
    pub(crate) versions: Vec<Version>,
    /// For each change of the sector since its last sync, the number of writes up to it, and the
    /// index of the version after it.
    moments: Vec<(usize, usize)>,
    /// The index of the version at the last sync, as the program reads it.
    initial: usize,
}

impl Sector {
    /// Returns the index of the version after the last of these writes, of which all are below
    /// `writes`.
    pub(crate) fn before(&self, writes: usize) -> usize {
        let earlier = self.moments.partition_point(|(moment, _)| *moment < writes);
        let last = self.moments[..earlier].last();
        last.map_or(self.initial, |(_, version)| *version)
    }

    /// Returns the index of the version after all writes.
    pub(crate) fn latest(&self) -> usize {
        self.before(usize::MAX)
    }

    /// Replays the events that can change a sector. Each comes with the number of the file's writes
    /// until then.
    pub(crate) fn replay<'a>(
        number: usize,
        range: Range<usize>,
        events: impl Iterator<Item = (&'a FileEvent<'a>, usize)>,
        at_sync: &DurableBytes,
    ) -> Self {
        let mut versions: Vec<Version> = at_sync
            .contents_at_sync(&range)
            .into_iter()
            .map(|bytes| Version { writes: 0, bytes })
            .collect();
        let mut initial = versions.len() - 1;
        let mut live = versions[initial].bytes.clone();
        for (event, writes) in events {
            match event {
                FileEvent::Write { offset, bytes, .. } => {
                    let (from, to) = (
                        range.start.max(*offset),
                        range.end.min(offset + bytes.len()),
                    );
                    live[from - range.start..to - range.start]
                        .copy_from_slice(&bytes[from - offset..to - offset]);
                    let bytes = live.clone();
                    versions.push(Version { writes, bytes });
                }
                FileEvent::Size {
                    length,
                    is_included,
                    zeros,
                    cut,
                    ..
                } => {
                    let within = |offset: usize| offset.saturating_sub(range.start).min(live.len());
                    let (length, cut) = (within(*length), within(*cut));
                    for version in &mut versions {
                        version.bytes[cut..].fill(0);
                    }
                    if *is_included && length < cut {
                        // The program reads none of these, so no moment has them.
                        let zeroed = versions.iter().map(|version| version.cut(length));
                        let zeroed: Vec<Version> = zeroed.collect();
                        initial += zeroed.len();
                        versions.splice(0..0, zeroed);
                    }
                    live[length..].fill(0);
                    let zeros = zeros.start.max(range.start)..zeros.end.min(range.end);
                    if !zeros.is_empty() {
                        let bytes = live.clone();
                        versions.push(Version { writes, bytes });
                    }
                }
                FileEvent::Sync(_) => {
                    let bytes = live.clone();
                    versions = vec![Version { writes, bytes }];
                    initial = 0;
                }
            }
        }
        // Equal bytes count once, as the latest moment.
        let mut sector = Self {
            number,
            versions: Vec::new(),
            moments: Vec::new(),
            initial: 0,
        };
        for (moment, version) in versions.into_iter().enumerate() {
            let writes = version.writes;
            let known = sector
                .versions
                .iter()
                .position(|other| other.bytes == version.bytes);
            let index = known.unwrap_or(sector.versions.len());
            match known {
                Some(known) => sector.versions[known].writes = writes,
                None => sector.versions.push(version),
            }
            match moment {
                earlier if earlier < initial => {}
                moment if moment == initial => sector.initial = index,
                _ => sector.moments.push((writes, index)),
            }
        }
        sector
    }
}

/// The bytes of a sector at one moment.
#[derive(Debug)]
pub(crate) struct Version {
    /// The number of the file's unsynced writes until the last moment with these bytes.
    pub(crate) writes: usize,
    pub(crate) bytes: Vec<u8>,
}

impl Version {
    /// Returns the version with zeros behind this offset in the sector.
    fn cut(&self, offset: usize) -> Self {
        let mut bytes = self.bytes.clone();
        bytes[offset..].fill(0);
        Self { bytes, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes after the first write are those after the third one too.
    #[test]
    fn version_before_a_write_is_the_one_at_that_moment() {
        let write = |byte: &'static [u8; 1]| FileEvent::Write {
            call: 0,
            offset: 0,
            bytes: byte,
            is_store: false,
        };
        let events = [write(b"a"), write(b"b"), write(b"a"), write(b"c")];
        let numbered = events.iter().zip(1..);
        let sector = Sector::replay(0, 0..1, numbered, &DurableBytes::default());
        let before = |writes: usize| sector.versions[sector.before(writes)].bytes[0];
        assert_eq!((1..=5).map(before).collect::<Vec<_>>(), *b"\0abac");
    }
}
