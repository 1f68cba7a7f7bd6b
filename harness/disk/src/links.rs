//! Calls that give names to files.

use crate::file_system::{Node, NodeId};
use crate::journal::{Event, Journal, Part};
use std::path::Path;

impl Journal {
    /// Creates an empty file without a name. The file appears nowhere until
    /// [`link_node`](Self::link_node) names it.
    pub fn create_unnamed(&mut self, mode: u32) -> NodeId {
        self.before.add(Node::file(mode));
        let node = self.live.add(Node::file(mode));
        self.log_metadata(vec![Part::Unnamed { node }]);
        node
    }

    /// Adds another name to the file at `from`. Does nothing if `to` exists.
    pub fn link(&mut self, from: &Path, to: &Path) {
        if let Some(node) = self.live.find(from) {
            self.link_node(node, to);
        }
    }

    /// Adds a name to a file. Does nothing if the path exists, if the node is a directory, or if
    /// the file has lost its last name.
    pub fn link_node(&mut self, node: NodeId, path: &Path) {
        if let Some(slot) = self.live.slot(path)
            && self.live.entry(&slot).is_none()
            && !self.is_directory(node)
            && (self.live.has_name(node) || self.was_never_named(node))
        {
            self.log_metadata(vec![self.entry(slot, Some(node))]);
        }
    }

    fn was_never_named(&self, wanted: NodeId) -> bool {
        let mut is_unnamed = false;
        for logged in &self.log {
            let Event::Metadata(parts) = &logged.event else {
                continue;
            };
            for part in parts {
                match part {
                    Part::Unnamed { node } if *node == wanted => is_unnamed = true,
                    Part::Entry { node, .. } if *node == Some(wanted) => return false,
                    _ => {}
                }
            }
        }
        is_unnamed
    }
}
