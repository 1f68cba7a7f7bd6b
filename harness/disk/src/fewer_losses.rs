//! Choices of states that lose less than another one.

use crate::content::{ContentChoice, ContentChoices};
use crate::representatives::length_at_least;
use crate::states::{Choice, States, Tree};
use std::rc::Rc;

impl States<'_> {
    /// Returns choices that lose less than `choice`, those with the fewest losses first. The model
    /// allows each one. Some lead to equal states.
    #[must_use]
    pub fn fewer_losses(&self, choice: &Choice) -> Vec<Choice> {
        let metadata = self.metadata();
        let mut found = Vec::new();
        for included in metadata.fewer_losses(&choice.tree.included) {
            let tree = self.tree(included);
            let contents = adapt(&tree, choice);
            found.push(Choice { tree, contents });
        }
        let files = || choice.tree.open.iter().zip(&choice.contents).enumerate();
        let latest = || choice.tree.open.iter().map(|(_, file)| file.latest());
        let lossy: Vec<usize> = files()
            .filter(|(_, ((_, file), content))| !file.missing_writes(content).is_empty())
            .map(|(index, _)| index)
            .collect();
        let with = |contents| Choice {
            tree: Rc::clone(&choice.tree),
            contents,
        };
        // Only one of the files keeps its losses.
        if lossy.len() > 1 {
            for index in &lossy {
                let mut contents: Vec<ContentChoice> = latest().collect();
                contents[*index] = choice.contents[*index].clone();
                found.push(with(contents));
            }
        }
        // Some of the files lose their losses: all, half of them, or one.
        for part in parts(&lossy) {
            let mut contents = choice.contents.clone();
            for index in part {
                contents[index] = choice.tree.open[index].1.latest();
            }
            found.push(with(contents));
        }
        for (index, ((_, file), content)) in files() {
            for part in parts(&file.missing_writes(content)) {
                let mut contents = choice.contents.clone();
                contents[index] = restore(file, content, &part);
                found.push(with(contents));
            }
        }
        found
    }
}

/// Splits a list: all of it, its halves, and its single elements.
fn parts(list: &[usize]) -> Vec<Vec<usize>> {
    let (first, second) = list.split_at(list.len() / 2);
    let singles = list.iter().map(std::slice::from_ref);
    let mut parts: Vec<Vec<usize>> = [list, first, second]
        .into_iter()
        .chain(singles)
        .filter(|part| !part.is_empty())
        .map(<[usize]>::to_vec)
        .collect();
    parts.dedup();
    parts
}

/// Chooses bytes for the files of `tree` that are like those of `choice`.
fn adapt(tree: &Tree, choice: &Choice) -> Vec<ContentChoice> {
    let like = |(node, file): &(_, Rc<ContentChoices>)| {
        let mut old = choice.tree.open.iter().zip(&choice.contents);
        match old.find(|((other, _), _)| other == node) {
            Some(((_, other), content)) => like(file, other, content),
            None => file.latest(),
        }
    };
    tree.open.iter().map(like).collect()
}

/// Returns the choice of `file` with the versions of the sectors in `choice`, which belongs to the
/// choices `other` of the same file.
fn like(file: &ContentChoices, other: &ContentChoices, choice: &ContentChoice) -> ContentChoice {
    let mut like = file.latest();
    like.length = length_at_least(file, choice.length);
    for (version, sector) in like.versions.iter_mut().zip(&file.sectors) {
        let mut others = other.sectors.iter().zip(&choice.versions);
        let found = others.find(|(other, _)| other.number == sector.number);
        if let Some((other, chosen)) = found {
            *version = sector.before(other.versions[*chosen].writes + 1);
        }
    }
    like
}

/// Restores these writes of a file, by index.
fn restore(file: &ContentChoices, choice: &ContentChoice, writes: &[usize]) -> ContentChoice {
    let latest = file.latest();
    let mut restored = choice.clone();
    for write in writes.iter().map(|index| &file.writes[*index]) {
        let end = write.reached(file.grown());
        restored.length = length_at_least(file, restored.length.max(end));
        for sector in file.touched(write) {
            restored.versions[sector] = latest.versions[sector];
        }
    }
    restored
}

#[cfg(test)]
mod tests {
    use crate::{Journal, PowerLoss, SECTOR_SIZE, Snapshot, State};
    use std::path::Path;

    /// Loses as little as possible, as long as the calls 1 and 7 are lost.
    fn minimize(model: PowerLoss) -> (State, State) {
        let mut journal = Journal::new(&Snapshot::default());
        let node = journal.create(Path::new("file"), 0o644).unwrap();
        journal.end_call();
        for call in 0..8 {
            journal.write(node, call * SECTOR_SIZE, &[b'x'; SECTOR_SIZE]);
            journal.end_call();
        }
        journal.create(Path::new("other"), 0o644).unwrap();
        journal.end_call();
        let is_broken = |state: &State| [1, 7].iter().all(|call| state.missing.contains(call));
        journal.with_states(10, model, SECTOR_SIZE, |states| {
            let representatives = states.representatives();
            let choices = representatives.iter();
            let all = choices.max_by_key(|choice| states.state(choice).missing.len());
            let mut best = all.unwrap();
            let worst = states.state(&best);
            loop {
                let missing = states.state(&best).missing.len();
                let fewer = states.fewer_losses(&best).into_iter().find(|choice| {
                    let state = states.state(choice);
                    is_broken(&state) && state.missing.len() < missing
                });
                match fewer {
                    Some(fewer) => best = fewer,
                    None => return (worst, states.state(&best)),
                }
            }
        })
    }

    #[test]
    fn fewer_losses_lead_to_a_small_state() {
        for model in [
            PowerLoss::Posix,
            PowerLoss::Journaled,
            PowerLoss::Ext4Ordered,
        ] {
            let (worst, best) = minimize(model);
            assert!(worst.missing.len() >= 9, "{model}: {:?}", worst.missing);
            assert_eq!(best.missing, [1, 7], "{model}");
        }
    }
}
