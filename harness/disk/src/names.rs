//! The parts of changes that belong to the names of a file.

use crate::file_system::{FileSystem, NodeId, Slot};
use crate::journal::Part;
use crate::unit::{PartId, Unit};
use std::collections::HashSet;

/// Lists the parts that set the mode of a file, or that set or remove a name of the file or of a
/// directory above it.
///
/// The rename of another file over the file is not among these parts: Btrfs need not bring it.
pub(crate) fn parts(units: &[Unit<'_>], live: &FileSystem, file: NodeId) -> HashSet<PartId> {
    let mut nodes = live.ancestors(file);
    nodes.push(file);
    let is_mode = |part: &Part| matches!(part, Part::Mode { node, .. } if *node == file);
    let mut found = HashSet::new();
    for (unit, change) in units.iter().enumerate() {
        let sets = |wanted: NodeId| {
            let mut parts = change.parts.iter();
            parts
                .any(|part| matches!(part, Part::Entry { node: Some(node), .. } if *node == wanted))
        };
        let is_name = |part: &Part| match part {
            Part::Entry { node, previous, .. } => {
                node.is_some_and(|node| nodes.contains(&node))
                    || previous.is_some_and(|previous| {
                        nodes.contains(&previous) && (node.is_none() || sets(previous))
                    })
            }
            _ => false,
        };
        // A rename within one directory is one change.
        let is_whole = is_within_one_directory(change.parts) && change.parts.iter().any(is_name);
        for (number, part) in change.parts.iter().enumerate() {
            if is_whole || is_name(part) || is_mode(part) {
                found.insert((unit, number));
            }
        }
    }
    found
}

/// Adds each change that freed the entry of one of the parts, unless the change belongs to a file
/// whose creation is missing: Btrfs need not bring a new file that had the name before.
pub(crate) fn close(units: &[Unit<'_>], parts: &mut HashSet<PartId>) {
    let slot = |part: &Part| match part {
        Part::Entry { slot, .. } => Some(slot.clone()),
        _ => None,
    };
    loop {
        let before = parts.len();
        let slots: Vec<(usize, Slot)> = parts
            .iter()
            .filter_map(|(unit, number)| Some((*unit, slot(&units[*unit].parts[*number])?)))
            .collect();
        for (unit, freed) in slots {
            for (earlier, change) in units[..unit].iter().enumerate() {
                let is_freed = |part: &Part| match part {
                    Part::Entry {
                        slot,
                        node,
                        previous,
                        ..
                    } if *slot == freed => node
                        .or(*previous)
                        .and_then(|file| creation(units, file))
                        .is_none_or(|created| parts.contains(&created)),
                    _ => false,
                };
                if change.parts.iter().any(is_freed) {
                    parts.extend((0..change.parts.len()).map(|number| (earlier, number)));
                }
            }
        }
        if parts.len() == before {
            return;
        }
    }
}

/// Returns the part that creates the file or directory, if one of the units does.
fn creation(units: &[Unit<'_>], created: NodeId) -> Option<PartId> {
    let is_creation = |part: &Part| matches!(part, Part::Entry { node: Some(node), creates: true, .. } if *node == created);
    let number = |unit: &Unit<'_>| unit.parts.iter().position(is_creation);
    let mut units = units.iter().enumerate();
    units.find_map(|(unit, change)| Some((unit, number(change)?)))
}

/// Whether all entries that the change sets or removes are in one directory.
pub(crate) fn is_within_one_directory(parts: &[Part]) -> bool {
    let directory = |part: &Part| match part {
        Part::Entry { slot, .. } => Some(slot.directory),
        _ => None,
    };
    parts
        .windows(2)
        .all(|pair| directory(&pair[0]) == directory(&pair[1]))
}

/// Whether the change moves a name out of this directory into another one.
pub(crate) fn moves_out(parts: &[Part], directory: NodeId) -> bool {
    let removes = |part: &Part| match part {
        Part::Entry { slot, previous, .. } if slot.directory == directory => *previous,
        _ => None,
    };
    parts.iter().filter_map(removes).any(|moved| {
        parts.iter().any(|part| {
            matches!(part, Part::Entry { slot, node: Some(node), .. }
                if *node == moved && slot.directory != directory)
        })
    })
}
