//! A FUSE server with one file: the disk.
//!
//! A loop device over the file passes each write and each flush of a file system on, in order.
//! The messages are those of `linux/fuse.h`.

use crate::error::{Error, Result};
use crate::recorder::{Record, Recorder};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

const FILE_NAME: &str = "disk";

/// The numbers of the root directory and of the file.
const ROOT: u64 = 1;
const FILE: u64 = 2;

/// The most bytes of one write.
const MAX_WRITE: u32 = 1 << 20;

/// A message of the kernel starts with this number of bytes.
const HEADER: usize = 40;

mod operation {
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const FORGET: u32 = 2;
    pub(super) const GETATTR: u32 = 3;
    pub(super) const SETATTR: u32 = 4;
    pub(super) const OPEN: u32 = 14;
    pub(super) const READ: u32 = 15;
    pub(super) const WRITE: u32 = 16;
    pub(super) const RELEASE: u32 = 18;
    pub(super) const FSYNC: u32 = 20;
    pub(super) const FLUSH: u32 = 25;
    pub(super) const INIT: u32 = 26;
    pub(super) const INTERRUPT: u32 = 36;
    pub(super) const BATCH_FORGET: u32 = 42;
    pub(super) const FALLOCATE: u32 = 43;
}

/// The server, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    directory: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Mounts the server at this directory.
    pub(crate) fn start(directory: &Path, recorder: Recorder) -> Result<Self> {
        let path = Path::new("/dev/fuse");
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::at("open", path))?;
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0",
            device.as_raw_fd()
        );
        let options = CString::new(options).expect("the options have no null byte");
        mount(
            "power_cuts",
            directory,
            "fuse",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .map_err(Error::at("mount a FUSE server at", directory))?;
        Ok(Self {
            directory: directory.to_owned(),
            thread: Some(thread::spawn(move || serve(device, &recorder))),
        })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the thread, too: its next read fails.
        if unmount(&self.directory, UnmountFlags::DETACH).is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

/// Answers requests until the server is unmounted.
fn serve(mut device: File, recorder: &Recorder) {
    let mut buffer = vec![0; MAX_WRITE as usize + 65536];
    loop {
        let length = match device.read(&mut buffer) {
            Ok(length) => length,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INTR | Errno::NOENT | Errno::AGAIN) => continue,
                _ => return,
            },
        };
        let message = Message(&buffer[..length]);
        let Some(answer) = answer(&message, recorder) else {
            continue;
        };
        let (error, body) = match answer {
            Ok(body) => (0, body),
            Err(error) => (-error.raw_os_error(), Vec::new()),
        };
        let mut reply = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
        reply.extend(error.to_ne_bytes());
        reply.extend(message.u64(8).to_ne_bytes());
        reply.extend(body);
        // An interrupted request takes no answer.
        let _ = device.write_all(&reply);
    }
}

/// A request of the kernel.
struct Message<'a>(&'a [u8]);

impl Message<'_> {
    fn u32(&self, offset: usize) -> u32 {
        let bytes = self.0[offset..offset + 4].try_into();
        u32::from_ne_bytes(bytes.expect("four bytes"))
    }

    fn u64(&self, offset: usize) -> u64 {
        let bytes = self.0[offset..offset + 8].try_into();
        u64::from_ne_bytes(bytes.expect("eight bytes"))
    }
}

/// Returns the body of the answer, or `None` if the request takes no answer.
fn answer(message: &Message<'_>, recorder: &Recorder) -> Option<Result<Vec<u8>, Errno>> {
    let offset_and_size = || (message.u64(HEADER + 8), message.u32(HEADER + 16) as usize);
    Some(Ok(match message.u32(4) {
        operation::INIT => initial(message.u32(HEADER + 8)),
        operation::LOOKUP => {
            if message.0[HEADER..].strip_suffix(&[0]) != Some(FILE_NAME.as_bytes()) {
                return Some(Err(Errno::NOENT));
            }
            let mut body = words(&[FILE, 0, FOREVER, FOREVER, 0]);
            body.extend(attributes(FILE, recorder.length()));
            body
        }
        operation::GETATTR | operation::SETATTR => {
            let mut body = words(&[FOREVER, 0]);
            body.extend(attributes(message.u64(16), recorder.length()));
            body
        }
        operation::OPEN => words(&[1, 0]),
        operation::READ => {
            let (offset, size) = offset_and_size();
            let mut bytes = vec![0; size];
            recorder.read_at(offset, &mut bytes);
            bytes
        }
        operation::WRITE => {
            let (offset, size) = offset_and_size();
            let bytes = message.0[HEADER + 40..][..size].into();
            recorder.add(Record::Write { offset, bytes });
            words(&[size as u64])
        }
        operation::FSYNC => {
            recorder.add(Record::Flush);
            Vec::new()
        }
        operation::FLUSH | operation::RELEASE => Vec::new(),
        operation::FORGET | operation::BATCH_FORGET | operation::INTERRUPT => return None,
        operation::FALLOCATE => return Some(Err(Errno::OPNOTSUPP)),
        _ => return Some(Err(Errno::NOSYS)),
    }))
}

/// The time in seconds that the kernel may keep attributes.
const FOREVER: u64 = 1 << 20;

/// `fuse_init_out`, with the kernel's read-ahead.
fn initial(max_readahead: u32) -> Vec<u8> {
    const ASYNC_READ: u32 = 1;
    const BIG_WRITES: u32 = 1 << 5;
    const ASYNC_DIRECT_IO: u32 = 1 << 15;
    const MAX_PAGES: u32 = 1 << 22;
    let flags = ASYNC_READ | BIG_WRITES | ASYNC_DIRECT_IO | MAX_PAGES;
    let mut body = Vec::new();
    for value in [7, 31, max_readahead, flags] {
        body.extend(value.to_ne_bytes());
    }
    // The numbers of requests in the background: at most, and before congestion.
    body.extend([64_u16, 48].map(u16::to_ne_bytes).concat());
    // The granularity of times is 0.
    body.extend([MAX_WRITE, 0].map(u32::to_ne_bytes).concat());
    body.extend([256_u16, 0].map(u16::to_ne_bytes).concat());
    body.resize(64, 0);
    body
}

/// `fuse_attr`.
fn attributes(node: u64, length: u64) -> Vec<u8> {
    const DIRECTORY: u32 = 0o40_755;
    const REGULAR: u32 = 0o100_600;
    let (mode, length) = match node {
        ROOT => (DIRECTORY, 0),
        _ => (REGULAR, length),
    };
    // Three times, whose fractions follow.
    let mut body = words(&[node, length, length / 512, 0, 0, 0]);
    let (links, owner, block_size) = (1, 0, 4096);
    for value in [0, 0, 0, mode, links, owner, owner, 0, block_size, 0] {
        body.extend(u32::to_ne_bytes(value));
    }
    body
}

fn words(values: &[u64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}
