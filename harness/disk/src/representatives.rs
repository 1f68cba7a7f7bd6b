//! Representative contents of a file after a loss of power.
//!
//! A file with a few unsynced writes has too many possible contents to try all. Programs go wrong
//! at certain kinds of content: an empty file, zeros, the loss of one write, a torn write whose
//! last sector has the commit mark.

use crate::content::{ContentChoice, ContentChoices, Write};

/// Lists representative contents, those with few losses first. Some can be equal.
pub(crate) fn of(file: &ContentChoices) -> Vec<ContentChoice> {
    let writes = || {
        file.writes
            .iter()
            .enumerate()
            .filter(|(_, write)| !write.is_hidden)
    };
    let mut found = vec![file.latest()];
    for (number, write) in writes() {
        found.push(without(file, number, write, |_| true));
        let touched = file.touched(write);
        if let (Some(first), Some(last)) = (touched.first(), touched.last())
            && first != last
        {
            found.push(without(file, number, write, |sector| sector == *last));
            found.push(without(file, number, write, |sector| sector == *first));
            found.push(without(file, number, write, |sector| sector != *last));
            found.push(without(file, number, write, |sector| sector != *first));
        }
    }
    for (_, write) in writes() {
        let mut only = file.earliest(file.lengths[0].max(write.range.end.min(file.grown())));
        only.length = length_at_least(file, only.length);
        let latest = file.latest();
        for sector in file.touched(write) {
            only.versions[sector] = latest.versions[sector];
        }
        found.push(only);
    }
    let mut lengths: Vec<usize> = file.lengths.clone();
    // Among many borders, the first and the last stand for all.
    if lengths.len() > 4 {
        lengths.drain(2..lengths.len() - 2);
    }
    for length in lengths {
        found.push(ContentChoice {
            length,
            ..file.latest()
        });
        found.push(file.earliest(length));
    }
    found
}

/// Loses the matching sectors of one write. Loses the write's growth if all its sectors match.
fn without(
    file: &ContentChoices,
    number: usize,
    write: &Write,
    is_lost: impl Fn(usize) -> bool,
) -> ContentChoice {
    let mut choice = file.latest();
    let touched = file.touched(write);
    if touched.iter().all(|sector| is_lost(*sector)) {
        let others = file.writes.iter().enumerate();
        let reach = others.filter(|(other, write)| *other != number && !write.is_hidden);
        let reached = reach
            .map(|(_, write)| write.range.end.min(file.grown()))
            .max();
        choice.length = length_at_least(file, reached.unwrap_or_default());
    }
    for sector in touched.into_iter().filter(|sector| is_lost(*sector)) {
        choice.versions[sector] = file.sectors[sector].before(number + 1);
    }
    choice
}

/// Returns the smallest possible length that is at least this one, or else the greatest.
pub(crate) fn length_at_least(file: &ContentChoices, length: usize) -> usize {
    let long_enough = |possible: &&usize| **possible >= length;
    file.lengths
        .iter()
        .find(long_enough)
        .copied()
        .unwrap_or_else(|| file.grown())
}
