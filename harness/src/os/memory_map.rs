//! Reads the memory mappings of another process from `/proc`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A mapping of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileMapping {
    pub(crate) addresses: Range<u64>,
    /// Whether stores through the mapping change the file.
    pub(crate) is_shared: bool,
    /// The offset of the mapping in the file, in bytes.
    pub(crate) offset: u64,
    pub(crate) path: PathBuf,
}

/// Lists the mappings of files in the process of this thread.
pub(crate) fn file_mappings(thread: u32) -> io::Result<Vec<FileMapping>> {
    let maps = fs::read(format!("/proc/{thread}/maps"))?;
    Ok(maps
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// Parses a line of the form `7f00-7f10 rw-s 00001000 08:01 42    /path` (proc_pid_maps(5)).
fn parse(line: &[u8]) -> Option<FileMapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = field()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let permissions = field()?;
    let offset = number(field()?)?;
    let (_device, _inode) = (field()?, field()?);
    let path = fields.next()?.trim_ascii_start();
    path.starts_with(b"/").then(|| FileMapping {
        addresses: number(start)
            .zip(number(end))
            .map_or(0..0, |(start, end)| start..end),
        is_shared: permissions.ends_with('s'),
        offset,
        path: unescape(path),
    })
}

/// Restores line feeds, the only bytes that the kernel writes as `\012`.
fn unescape(path: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(path.len());
    let mut left = path;
    while let Some((first, rest)) = left.split_first() {
        if let Some(rest) = left.strip_prefix(b"\\012") {
            plain.push(b'\n');
            left = rest;
        } else {
            plain.push(*first);
            left = rest;
        }
    }
    OsString::from_vec(plain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_of_files_are_parsed() {
        let line = b"7f00-8000 r--s 00001000 08:01 42                         /a b\\012c";
        let mapping = parse(line).unwrap();
        assert_eq!(mapping.addresses, 0x7f00..0x8000);
        assert!(mapping.is_shared);
        assert_eq!((mapping.offset, mapping.path), (0x1000, "/a b\nc".into()));
        assert_eq!(parse(b"7f00-8000 rw-p 00000000 00:00 0 "), None);
        assert_eq!(parse(b"7f00-8000 rw-p 00000000 00:00 0    [stack]"), None);
    }

    #[test]
    fn program_of_this_process_is_mapped_privately() {
        let program = std::env::current_exe().unwrap().canonicalize().unwrap();
        let mappings = file_mappings(std::process::id()).unwrap();
        let own = mappings.iter().find(|mapping| mapping.path == program);
        assert!(!own.unwrap().is_shared);
    }
}
