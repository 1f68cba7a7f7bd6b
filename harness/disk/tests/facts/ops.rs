//! Short constructors of calls.

use crate::reference::{Op, WriteSync};

pub(crate) fn open(path: &str) -> Op {
    Op::Open {
        path: path.into(),
        create: false,
        truncate: false,
    }
}

pub(crate) fn create(path: &str) -> Op {
    Op::Open {
        path: path.into(),
        create: true,
        truncate: false,
    }
}

pub(crate) fn create_truncated(path: &str) -> Op {
    Op::Open {
        path: path.into(),
        create: true,
        truncate: true,
    }
}

/// Writes `length` times the letter.
pub(crate) fn write(handle: usize, at: u64, length: u64, letter: u8) -> Op {
    let bytes = vec![letter; length as usize];
    Op::Write {
        handle,
        at: Some(at),
        bytes,
        sync: WriteSync::None,
    }
}

/// Appends `length` times the letter.
pub(crate) fn append(handle: usize, length: u64, letter: u8) -> Op {
    let bytes = vec![letter; length as usize];
    Op::Write {
        handle,
        at: None,
        bytes,
        sync: WriteSync::None,
    }
}

pub(crate) fn truncate(handle: usize, length: u64) -> Op {
    Op::Truncate { handle, length }
}

pub(crate) fn chmod(path: &str, mode: u32) -> Op {
    Op::Chmod {
        path: path.into(),
        mode,
    }
}

pub(crate) fn rename(from: &str, to: &str) -> Op {
    Op::Rename {
        from: from.into(),
        to: to.into(),
    }
}

pub(crate) fn link(from: &str, to: &str) -> Op {
    Op::Link {
        from: from.into(),
        to: to.into(),
    }
}

pub(crate) fn unlink(path: &str) -> Op {
    Op::Unlink { path: path.into() }
}

pub(crate) fn mkdir(path: &str) -> Op {
    Op::Mkdir { path: path.into() }
}

pub(crate) fn fsync(handle: usize) -> Op {
    Op::Fsync { handle }
}

pub(crate) fn fdatasync(handle: usize) -> Op {
    Op::Fdatasync { handle }
}

pub(crate) fn fsync_directory(path: &str) -> Op {
    Op::FsyncDir { path: path.into() }
}

/// Names the file of a handle.
pub(crate) fn name(handle: usize, to: &str) -> Op {
    Op::LinkHandle {
        handle,
        to: to.into(),
    }
}
