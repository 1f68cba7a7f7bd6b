//! Files in memory, which a server shares with its workers.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Creates an empty file in memory.
pub(super) fn create(name: &str) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create(name, flags)?.into())
}

/// Creates a file in memory whose size and bytes never change.
pub(super) fn sealed<'a>(
    name: &str,
    parts: impl IntoIterator<Item = &'a [u8]>,
) -> io::Result<File> {
    let file = create(name)?;
    let mut at = 0;
    for part in parts {
        file.write_all_at(part, at)?;
        at += part.len() as u64;
    }
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// Creates a file in memory of a fixed size, to write to.
pub(super) fn of_size(name: &str, size: u64) -> io::Result<File> {
    let file = create(name)?;
    file.set_len(size)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Reads a file from its start, without a change of the position that other processes share.
#[derive(Debug)]
pub(super) struct FromStart {
    file: File,
    at: u64,
}

impl FromStart {
    pub(super) fn new(file: File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(to, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_file_never_changes() {
        let file = sealed("test", [&b"one"[..], b"two"]).unwrap();
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(2).is_err() && file.set_len(9).is_err());
        let copy = file.try_clone().unwrap();
        for file in [file, copy] {
            let mut text = String::new();
            FromStart::new(file).read_to_string(&mut text).unwrap();
            assert_eq!(text, "onetwo");
        }
    }
}
