//! Representative contents of a file: those that lose or keep a single write, and tear it.

use crate::content::{ContentChoice, ContentChoices, Write};

/// A representative content of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// Lacks these sectors of the write with this number.
    Without(usize, Sectors),
    /// Has no unsynced bytes but those of the write with this number.
    Only(usize),
    /// Has this length and all bytes below it.
    Length(usize),
    /// Has this length and no unsynced bytes.
    Unsynced(usize),
}

/// Some of the sectors that a write touches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sectors {
    All,
    First,
    Last,
    AllButFirst,
    AllButLast,
}

const TORN: [Sectors; 4] = [
    Sectors::Last,
    Sectors::First,
    Sectors::AllButLast,
    Sectors::AllButFirst,
];

/// Lists representative contents, each with the call that it is about. Some can be equal.
pub(crate) fn of(file: &ContentChoices) -> Vec<(usize, Content)> {
    let mut found = Vec::new();
    let writes = file.writes.iter().enumerate();
    for (number, write) in writes.filter(|(_, write)| !write.is_hidden) {
        found.push((write.call, Content::Without(number, Sectors::All)));
        if file.touched(write).len() > 1 {
            let torn = TORN.map(|sectors| (write.call, Content::Without(number, sectors)));
            found.extend(torn);
        }
        found.push((write.call, Content::Only(number)));
    }
    let mut lengths: Vec<usize> = file.lengths.clone();
    // Among many borders, the first and the last stand for all.
    if lengths.len() > 4 {
        lengths.drain(2..lengths.len() - 2);
    }
    let last = file.writes.last().map_or(0, |write| write.call);
    for length in lengths {
        found.push((last, Content::Length(length)));
        found.push((last, Content::Unsynced(length)));
    }
    found
}

/// Makes the choice of a representative content.
pub(crate) fn choice(file: &ContentChoices, content: Content) -> ContentChoice {
    match content {
        Content::Without(number, sectors) => without(file, number, sectors),
        Content::Only(number) => {
            let write = &file.writes[number];
            let reached = file.lengths[0].max(write.reached(file.grown()));
            let mut only = file.earliest(length_at_least(file, reached));
            let latest = file.latest();
            for sector in file.touched(write) {
                only.versions[sector] = latest.versions[sector];
            }
            only
        }
        Content::Length(length) => ContentChoice {
            length,
            ..file.latest()
        },
        Content::Unsynced(length) => file.earliest(length),
    }
}

/// Loses some sectors of one write. Loses the write's growth if all its sectors are lost.
fn without(file: &ContentChoices, number: usize, sectors: Sectors) -> ContentChoice {
    let mut choice = file.latest();
    let touched = file.touched(&file.writes[number]);
    let (first, last) = (touched.start, touched.end.saturating_sub(1));
    let is_lost = |sector: usize| match sectors {
        Sectors::All => true,
        Sectors::First => sector == first,
        Sectors::Last => sector == last,
        Sectors::AllButFirst => sector != first,
        Sectors::AllButLast => sector != last,
    };
    if touched.clone().all(is_lost) {
        let end = |write: &Write| write.reached(file.grown());
        let others = file.writes.iter().enumerate();
        let others = others.filter(|(other, write)| *other != number && !write.is_hidden);
        let reached = others.map(|(_, write)| end(write)).max();
        choice.length = length_at_least(file, reached.unwrap_or_default());
    }
    for sector in touched.filter(|sector| is_lost(*sector)) {
        choice.versions[sector] = file.sectors[sector].before(number + 1);
    }
    choice
}

/// Returns the smallest possible length that is at least this one, or else the greatest.
pub(crate) fn length_at_least(file: &ContentChoices, length: usize) -> usize {
    let long_enough = file.lengths.partition_point(|possible| *possible < length);
    let found = file.lengths.get(long_enough);
    found.copied().unwrap_or_else(|| file.grown())
}
