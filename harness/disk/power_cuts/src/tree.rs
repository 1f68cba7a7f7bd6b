//! The files below a directory of the system, as a snapshot.

use clarity_chaos_disk::{Entry, File, Snapshot, SnapshotBuilder};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Reads all files below a directory.
pub(crate) fn read(root: &Path) -> io::Result<Snapshot> {
    let mut builder = SnapshotBuilder::default();
    let mut numbers = HashMap::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let path = directory.join(entry?.file_name());
            let full = root.join(&path);
            let metadata = full.symlink_metadata()?;
            let mode = metadata.mode() & 0o7777;
            if metadata.is_dir() {
                builder.directory(path.clone(), mode);
                directories.push(path);
            } else if metadata.is_symlink() {
                builder.symlink(path, fs::read_link(full)?);
            } else if let Some(number) = numbers.get(&metadata.ino()) {
                builder.link(path, *number);
            } else {
                let bytes = fs::read(full)?.as_slice().into();
                let number = builder.file(path, File { bytes, mode });
                numbers.insert(metadata.ino(), number);
            }
        }
    }
    Ok(builder.build())
}

/// Makes the files of a snapshot below a new directory.
pub(crate) fn make(root: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let directory = |mode| {
        let mut builder = fs::DirBuilder::new();
        builder.mode(mode);
        builder
    };
    directory(0o755).create(root)?;
    let mut first: HashMap<usize, PathBuf> = HashMap::new();
    for (path, entry) in snapshot.entries() {
        let full = root.join(path);
        match entry {
            Entry::Directory(mode) => directory(*mode).create(full)?,
            Entry::Symlink(target) => std::os::unix::fs::symlink(target, full)?,
            Entry::File(number) => match first.get(number) {
                Some(other) => fs::hard_link(other, full)?,
                None => {
                    let file = snapshot.file(*number);
                    let mut options = fs::OpenOptions::new();
                    let options = options.write(true).create_new(true).mode(file.mode);
                    io::Write::write_all(&mut options.open(&full)?, &file.bytes.to_vec())?;
                    first.insert(*number, full);
                }
            },
        }
    }
    Ok(())
}
