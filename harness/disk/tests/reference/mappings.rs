//! Stores through shared mappings, and `msync`.

use super::{BLOCK, Disk, Event};

impl Disk {
    pub(super) fn store(&mut self, file: usize, start: usize, bytes: &[u8]) {
        let node = &mut self.nodes[file];
        let end = (start + bytes.len()).min(node.bytes.len());
        if end <= start {
            return;
        }
        self.step += 1;
        node.data_dirty = true;
        node.meta_dirty = true;
        // Soon after another change of the bytes, the time of a store can be the same.
        if !node.was_modified {
            node.sync_step = self.step;
        }
        node.was_modified = true;
        node.bytes[start..end].copy_from_slice(&bytes[..end - start]);
        let after = node.bytes.clone();
        node.events.push(Event::Store { start, end, after });
        node.dirty_blocks.extend(start / BLOCK..end.div_ceil(BLOCK));
    }

    /// Syncs the blocks of these bytes, and the metadata as `fdatasync` does.
    pub(super) fn msync(&mut self, file: usize, start: usize, length: usize) {
        if length == 0 {
            return;
        }
        if self.nodes[file].data_dirty || self.is_new(file) {
            let blocks = start / BLOCK..(start + length).div_ceil(BLOCK);
            self.sync_blocks(file, blocks, false);
        } else {
            self.log_file(file);
        }
    }
}
