//! A state that reuses entries equals one that is written anew.

use super::*;
use clarity_chaos_disk::{File, SnapshotBuilder};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;

/// All that a program can see of an entry: its type, mode, owner, times, names, attributes and
/// content. Hard links have the same first name.
fn seen(root: &Path) -> BTreeMap<PathBuf, String> {
    fn add(
        root: &Path,
        here: &Path,
        firsts: &mut BTreeMap<u64, PathBuf>,
        found: &mut BTreeMap<PathBuf, String>,
    ) {
        let path = root.join(here);
        let metadata = fs::symlink_metadata(&path).unwrap();
        let first = firsts.entry(metadata.ino());
        let first = first.or_insert_with(|| here.to_owned()).clone();
        let mut list = Vec::with_capacity(1000);
        let _ = llistxattr(&path, rustix::buffer::spare_capacity(&mut list));
        let text = format!(
            "{:o} {} {} {:?} {:?} {} {first:?} {list:?}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.modified().unwrap(),
            metadata.accessed().unwrap(),
            if metadata.is_dir() {
                0
            } else {
                metadata.nlink()
            },
        );
        found.insert(here.to_owned(), text);
        if metadata.is_dir() {
            for name in directory::entry_names(&path).unwrap() {
                add(root, &here.join(name), firsts, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    add(root, Path::new(""), &mut BTreeMap::new(), &mut found);
    // Reads contents last, since reading changes the times of other names.
    for (path, text) in &mut found {
        let path = root.join(path);
        if let Ok(target) = fs::read_link(&path) {
            let _ = write!(text, " {}", target.display());
        } else if let Ok(bytes) = fs::read(&path) {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let _ = write!(text, " {} bytes, {}", bytes.len(), hasher.finish());
        }
    }
    found
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }

    fn bytes(&mut self) -> Vec<u8> {
        let byte = [0, b'a', b'b'][self.below(3)];
        vec![byte; [0, 5, 5, 4096, 10_000][self.below(5)]]
    }

    fn mode(&mut self) -> u32 {
        [0o644, 0o600, 0o755, 0o700, 0o400, 0o4755][self.below(6)]
    }

    fn path(&mut self) -> PathBuf {
        ["a", "b", "c", "d/a", "d/b", "d/e/a", "f/a"][self.below(7)].into()
    }

    fn state(&mut self) -> Snapshot {
        let mut builder = SnapshotBuilder::default();
        for directory in ["d", "d/e", "f"] {
            builder.directory(directory.into(), self.mode() | 0o100);
        }
        let mut files = Vec::new();
        for _ in 0..self.below(8) {
            let path = self.path();
            match self.below(6) {
                0 => builder.symlink(path, ["a", "b"][self.below(2)].into()),
                1 if !files.is_empty() => builder.link(path, files[self.below(files.len())]),
                _ => {
                    let mut bytes = self.bytes().as_slice().into();
                    if self.below(3) == 0 {
                        clarity_chaos_disk::SparseBytes::resize(&mut bytes, 20_000);
                    }
                    let mode = self.mode();
                    files.push(builder.file(path, File { bytes, mode }));
                }
            }
        }
        builder.build()
    }

    /// Makes a change that an invariant can make.
    fn disturb(&mut self, root: &Path, outside: &Path) {
        let (path, other) = (root.join(self.path()), root.join(self.path()));
        let _ = match self.below(16) {
            0 => fs::write(&path, self.bytes()),
            1 => {
                let modified = fs::metadata(&path).and_then(|found| found.modified());
                fs::read(&path).and_then(|mut bytes| {
                    bytes.iter_mut().for_each(|byte| *byte ^= 1);
                    fs::write(&path, bytes)?;
                    fs::File::options()
                        .write(true)
                        .open(&path)?
                        .set_modified(modified?)
                })
            }
            2 => fs::remove_file(&path),
            3 => fs::rename(&path, &other),
            4 => fs::hard_link(&path, &other),
            5 => fs::hard_link(&path, outside.join(self.below(1000).to_string())),
            6 => fs::set_permissions(&path, Permissions::from_mode(self.mode())),
            7 => fs::remove_dir_all(root.join("d")),
            8 => fs::set_permissions(root.join("d"), Permissions::from_mode(0o700)),
            9 => fs::create_dir_all(&path),
            10 => symlink("a", &path),
            11 => fs::set_permissions(root, Permissions::from_mode(0o777)),
            12 => {
                let name = std::ffi::OsStr::from_bytes(b"user.test");
                let none = rustix::fs::XattrFlags::empty();
                rustix::fs::setxattr(&path, name, b"value", none).map_err(io::Error::from)
            }
            13 => OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|file| file.set_len(3)),
            14 => fs::remove_dir_all(root).and_then(|()| symlink(outside, root)),
            _ => Ok(()),
        };
    }
}

#[test]
fn state_that_reuses_entries_equals_one_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let mut random = Random(5);
    let before = DirectoryContent::read(&{
        let initial = dir.path().join("initial");
        fs::create_dir_all(initial.join("d")).unwrap();
        fs::write(initial.join("a"), "aaaaa").unwrap();
        fs::write(initial.join("d/a"), "bbbbb").unwrap();
        let old = fs::File::options().write(true).open(initial.join("a"));
        old.unwrap().set_modified(UNIX_EPOCH).unwrap();
        initial
    })
    .unwrap();
    let mut reusing = StateDirectory::new(dir.path().join("reusing"));
    let mut kept = 0;
    for round in 0..150 {
        let state = random.state();
        for _ in 0..2 {
            let inode = |name: &str| {
                let found = fs::symlink_metadata(reusing.path.join(name));
                found.ok().map(|found| found.ino())
            };
            let earlier = [inode("a"), inode("d")];
            reusing.write(&state, &before, true).unwrap();
            let mut anew = StateDirectory::new(dir.path().join("anew"));
            anew.time = reusing.time;
            anew.write(&state, &before, false).unwrap();
            assert_eq!(seen(&reusing.path), seen(&anew.path), "{round}");
            let inode = |name: &str| {
                let found = fs::symlink_metadata(reusing.path.join(name));
                found.ok().map(|found| found.ino())
            };
            kept += usize::from(earlier == [inode("a"), inode("d")]);
            for _ in 0..random.below(3) {
                random.disturb(&reusing.path, &outside);
            }
        }
    }
    assert!(kept > 75, "{kept}");
    let names = directory::entry_names(&outside).unwrap();
    assert!(names.len() > 1);
}
