//! The directories whose entries a change of metadata sets or removes.

use crate::file_system::NodeId;
use crate::journal::Part;

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
