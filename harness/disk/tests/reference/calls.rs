//! Applies calls to the live file system, and records their units and events.

use super::{BLOCK, Disk, Event, Kind, Op, Part, ROOT, WriteSync};

impl Disk {
    /// Makes one call. A call that Linux refuses changes nothing.
    pub(super) fn call(&mut self, op: &Op) {
        match op {
            Op::Open {
                path,
                create,
                truncate,
            } => {
                let opened = self.open(path, *create, *truncate);
                self.add_handle(opened);
            }
            Op::OpenUnnamed => {
                let node = self.add(Kind::File, 0o644, Vec::new());
                self.nodes[node].created = Some(self.units.len());
                self.nodes[node].was_named = false;
                self.make_unit(vec![Part::Unnamed { node }]);
                self.add_handle(Some(node));
            }
            Op::LinkHandle { handle, to } => self.on_file(*handle, |disk, file| {
                let has_name = disk.entries.values().any(|node| *node == file);
                let place = disk.place(to);
                if let Some(place) = place
                    && (has_name || !disk.nodes[file].was_named)
                    && !disk.entries.contains_key(&place)
                {
                    if !disk.nodes[file].was_named {
                        disk.nodes[file].first_named = Some(disk.units.len());
                    }
                    disk.nodes[file].was_named = true;
                    let (old, new) = (None, Some(file));
                    disk.make_unit(vec![Part::Entry { place, old, new }]);
                }
            }),
            Op::Write {
                handle,
                at,
                bytes,
                sync,
            } => {
                self.on_file(*handle, |disk, file| disk.write(file, *at, bytes, *sync));
            }
            Op::Truncate { handle, length } => {
                self.on_file(*handle, |disk, file| disk.resize(file, *length as usize));
            }
            Op::Allocate { handle, length } => self.on_file(*handle, |disk, file| {
                if *length as usize > disk.nodes[file].bytes.len() {
                    disk.resize(file, *length as usize);
                }
            }),
            Op::Store { handle, at, bytes } => {
                self.on_file(*handle, |disk, file| disk.store(file, *at as usize, bytes));
            }
            Op::Msync { handle, at, length } => self.on_file(*handle, |disk, file| {
                disk.msync(file, *at as usize, *length as usize);
            }),
            Op::Fsync { handle } => self.on_file(*handle, |disk, file| disk.fsync(file)),
            Op::Fdatasync { handle } => self.on_file(*handle, |disk, file| disk.fdatasync(file)),
            Op::SyncAll => self.sync_all(),
            Op::Chmod { .. }
            | Op::Rename { .. }
            | Op::Exchange { .. }
            | Op::Link { .. }
            | Op::Unlink { .. }
            | Op::Mkdir { .. }
            | Op::Rmdir { .. }
            | Op::Symlink { .. }
            | Op::FsyncDir { .. } => {
                let _refused: Option<()> = self.call_on_path(op);
            }
        }
    }

    /// Returns the opened file, or `None` if the call fails.
    fn open(&mut self, path: &str, create: bool, truncate: bool) -> Option<usize> {
        let place = self.place(path)?;
        match self.entries.get(&place).copied() {
            Some(node) if self.nodes[node].kind == Kind::File => {
                if truncate && !self.nodes[node].bytes.is_empty() {
                    self.resize(node, 0);
                }
                Some(node)
            }
            Some(_) => None,
            None if create => self.create(path, Kind::File, 0o644),
            None => None,
        }
    }

    /// Creates a node, or returns `None` if the path exists or its directory is missing.
    fn create(&mut self, path: &str, kind: Kind, mode: u32) -> Option<usize> {
        let place = self.place(path)?;
        if self.entries.contains_key(&place) {
            return None;
        }
        let node = self.add(kind, mode, Vec::new());
        self.nodes[node].created = Some(self.units.len());
        self.nodes[node].first_named = Some(self.units.len());
        self.make_unit(vec![Part::Entry {
            place,
            old: None,
            new: Some(node),
        }]);
        self.nodes[node].was_modified = true;
        self.nodes[node].sync_step = self.step;
        self.nodes[node].datasync_step = self.step;
        Some(node)
    }

    /// Returns `None` if the call fails.
    fn call_on_path(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Chmod { path, mode } => {
                let node = self.find(path)?;
                if matches!(self.nodes[node].kind, Kind::Symlink(_)) {
                    return None;
                }
                self.make_unit(vec![Part::Mode { node, mode: *mode }]);
            }
            Op::Rename { from, to } => self.rename(from, to)?,
            Op::Exchange { a, b } => self.exchange(a, b)?,
            Op::Link { from, to } => {
                let node = self.find(from)?;
                let place = self.place(to)?;
                if self.is_directory(node) || self.entries.contains_key(&place) {
                    return None;
                }
                self.make_unit(vec![Part::Entry {
                    place,
                    old: None,
                    new: Some(node),
                }]);
            }
            Op::Unlink { path } => {
                let place = self.place(path)?;
                let node = *self.entries.get(&place)?;
                if self.is_directory(node) {
                    return None;
                }
                self.make_unit(vec![Part::Entry {
                    place,
                    old: Some(node),
                    new: None,
                }]);
            }
            Op::Mkdir { path } => {
                self.create(path, Kind::Directory, 0o755)?;
            }
            Op::Rmdir { path } => {
                let place = self.place(path)?;
                let node = *self.entries.get(&place)?;
                if !self.is_directory(node) || !self.is_empty(node) {
                    return None;
                }
                self.make_unit(vec![Part::Entry {
                    place,
                    old: Some(node),
                    new: None,
                }]);
            }
            Op::Symlink { target, path } => {
                if target.is_empty() {
                    return None;
                }
                self.create(path, Kind::Symlink(target.clone()), 0)?;
            }
            Op::FsyncDir { path } => {
                let directory = self.find(path)?;
                if !self.is_directory(directory) {
                    return None;
                }
                self.fsync_directory(directory);
            }
            _ => unreachable!("`call` makes all calls that need no path"),
        }
        Some(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let node = *self.entries.get(&from)?;
        let replaced = self.entries.get(&to).copied();
        if replaced == Some(node) || self.is_at_or_below(to.0, node) {
            return None;
        }
        if let Some(replaced) = replaced {
            let fits = self.is_directory(replaced) == self.is_directory(node);
            if !fits || !self.is_empty(replaced) {
                return None;
            }
        }
        self.make_unit(vec![
            Part::Entry {
                place: from,
                old: Some(node),
                new: None,
            },
            Part::Entry {
                place: to,
                old: replaced,
                new: Some(node),
            },
        ]);
        Some(())
    }

    fn exchange(&mut self, a: &str, b: &str) -> Option<()> {
        let (a, b) = (self.place(a)?, self.place(b)?);
        let (in_a, in_b) = (*self.entries.get(&a)?, *self.entries.get(&b)?);
        if in_a == in_b || self.is_at_or_below(a.0, in_b) || self.is_at_or_below(b.0, in_a) {
            return None;
        }
        self.make_unit(vec![
            Part::Entry {
                place: a,
                old: Some(in_a),
                new: Some(in_b),
            },
            Part::Entry {
                place: b,
                old: Some(in_b),
                new: Some(in_a),
            },
        ]);
        Some(())
    }

    /// A file or a symlink is empty as well: it has no entries.
    fn is_empty(&self, node: usize) -> bool {
        self.entries.keys().all(|(directory, _)| *directory != node)
    }

    fn is_at_or_below(&self, directory: usize, node: usize) -> bool {
        if directory == node || directory == ROOT {
            return directory == node;
        }
        let mut above = self
            .entries
            .iter()
            .filter(|(_, child)| **child == directory);
        above.any(|((parent, _), _)| self.is_at_or_below(*parent, node))
    }

    fn resize(&mut self, file: usize, length: usize) {
        self.make_unit(vec![Part::Size { file, length }]);
    }

    fn write(&mut self, file: usize, at: Option<u64>, bytes: &[u8], sync: WriteSync) {
        if bytes.is_empty() {
            return;
        }
        self.step += 1;
        let node = &mut self.nodes[file];
        let start = at.map_or(node.bytes.len(), |at| at as usize);
        let end = start + bytes.len();
        node.data_dirty = true;
        node.meta_dirty = true;
        // Soon after another change of the bytes, the time of a write can be the same.
        if end > node.bytes.len() || !node.was_modified {
            node.sync_step = self.step;
        }
        node.was_modified = true;
        if end > node.bytes.len() {
            let growth = start.max(node.bytes.len())..end;
            node.growths.push((self.step, growth));
            node.bytes.resize(end, 0);
        }
        node.bytes[start..end].copy_from_slice(bytes);
        node.events.push(Event::Write {
            start,
            end,
            after: node.bytes.clone(),
        });
        let blocks = start / BLOCK..end.div_ceil(BLOCK);
        node.dirty_blocks.extend(blocks.clone());
        match sync {
            WriteSync::None => {}
            WriteSync::Data => self.sync_blocks(file, blocks, false),
            WriteSync::Full => self.sync_blocks(file, blocks, true),
        }
    }

    /// Applies the parts to the live file system, and records them as one unit.
    fn make_unit(&mut self, parts: Vec<Part>) {
        self.step += 1;
        for part in &parts {
            match part {
                Part::Entry { place, old, new } => {
                    match new {
                        Some(node) => self.entries.insert(place.clone(), *node),
                        None => self.entries.remove(place),
                    };
                    self.nodes[place.0].sync_step = self.step;
                    // A directory that gets or loses a name needs no commit for its own fsync.
                    for node in [*old, *new].into_iter().flatten() {
                        if !self.is_directory(node) {
                            self.nodes[node].meta_dirty = true;
                            self.nodes[node].sync_step = self.step;
                        }
                    }
                }
                Part::Size { file, length } => {
                    let node = &mut self.nodes[*file];
                    let before = node.bytes.len();
                    node.bytes.resize(*length, 0);
                    if *length < before {
                        // The blocks behind the end are gone, and the last one gets zeros.
                        node.dirty_blocks.retain(|block| block * BLOCK < *length);
                        if length % BLOCK != 0 {
                            node.dirty_blocks.insert(length / BLOCK);
                        }
                    }
                    node.data_dirty = true;
                    node.meta_dirty = true;
                    node.was_modified = true;
                    node.sync_step = self.step;
                    node.datasync_step = self.step;
                    node.events.push(Event::Size {
                        unit: self.units.len(),
                        length: *length,
                        before,
                        after: node.bytes.clone(),
                    });
                }
                Part::Unnamed { node } => {
                    let node = &mut self.nodes[*node];
                    node.meta_dirty = true;
                    node.was_modified = true;
                    node.sync_step = self.step;
                    node.datasync_step = self.step;
                }
                Part::Mode { node, mode } => {
                    let node = &mut self.nodes[*node];
                    node.mode = *mode;
                    node.meta_dirty = true;
                    node.sync_step = self.step;
                }
            }
        }
        self.units.push(parts);
        self.unit_steps.push(self.step);
        self.log_change();
    }
}
