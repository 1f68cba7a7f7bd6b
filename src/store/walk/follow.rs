//! Follows one symlink, by its text.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::WalkError;
use super::place::{Place, Tree};
use super::roots::OpenRoot;
use crate::sanitize::sanitize_for_log;
use crate::store::links::split_process_root;

/// Finds the root that contains the target of the symlink `name` of `at`. Returns the root, and the
/// names from the root to the target.
///
/// In the tree of another process, an absolute target begins at the root of that process.
// The kernel never follows a link: it would follow an absolute target to the wrong tree, and a link
// of `/proc` to anywhere.
pub(super) fn follow(
    roots: &[OpenRoot],
    at: &Place,
    name: &OsStr,
    target: &Path,
) -> Result<(Place, VecDeque<OsString>), WalkError> {
    let refused = || not_allowed(&at.path.join(name), target);
    let mut path = at.path.clone();
    let mut rest = VecDeque::new();
    for component in target.components() {
        match component {
            Component::RootDir => path = PathBuf::from("/"),
            // A name of the target can be a symlink itself. So what follows `..` after such a name
            // is known only when the walk gets there.
            Component::ParentDir if rest.is_empty() && at.path.starts_with(&path) => {
                path.pop();
            }
            Component::ParentDir => rest.push_back(OsString::from("..")),
            Component::Normal(name) if rest.is_empty() => path.push(name),
            Component::Normal(name) => rest.push_back(name.to_owned()),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let mut tree = at.tree;
    if tree == Tree::Unknown {
        return Err(refused());
    }
    if tree == Tree::Host && split_process_root(&path).is_some() {
        let of_process = |root: &&OpenRoot| root.tree != Tree::Host;
        let inside = |root: &OpenRoot| {
            let inside = path.strip_prefix(&root.named).ok()?;
            Some((root.tree, root.path.join(inside)))
        };
        let found = roots.iter().filter(of_process).find_map(inside);
        (tree, path) = found.ok_or_else(refused)?;
    }
    // The outermost root allows the most.
    let found = roots
        .iter()
        .filter_map(|root| Some((root, root.inside(tree, &path)?)))
        .max_by_key(|(_, inside)| inside.components().count());
    let (root, inside) = found.ok_or_else(refused)?;
    let mut place = root.place();
    place.is_linked = true;
    let names = inside.iter().map(OsStr::to_owned);
    Ok((place, names.chain(rest).collect()))
}

pub(super) fn not_allowed(link: &Path, target: &Path) -> WalkError {
    WalkError::LinkNotAllowed {
        link: sanitize_for_log(link.display()),
        target: sanitize_for_log(target.display()),
    }
}
