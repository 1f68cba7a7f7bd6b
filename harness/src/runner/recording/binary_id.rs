//! The identity of a test binary.

use super::trailer::to_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// The identity of a test binary: its content, and not its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BinaryId {
    /// The name of the file.
    pub(super) file: String,
    /// The size of the file.
    pub(super) bytes: u64,
    /// The SHA-256 of the file, as hexadecimal digits.
    pub(super) sha256: String,
}

impl BinaryId {
    /// Reads the binary of this process.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let path = env::current_exe()?;
        let name = path.file_name().unwrap_or_default();
        // On Linux, this is the running binary, also after another file took its path.
        let running = PathBuf::from("/proc/self/exe");
        let mut file = match cfg!(target_os = "linux") {
            true => File::open(running)?,
            false => File::open(&path)?,
        };
        let (mut digest, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            match file.read(&mut piece)? {
                0 => break,
                length => {
                    digest.update(&piece[..length]);
                    bytes += length as u64;
                }
            }
        }
        Ok(Self {
            file: name.to_string_lossy().into_owned(),
            bytes,
            sha256: to_hex(&digest.finalize()),
        })
    }
}

impl PartialEq for BinaryId {
    fn eq(&self, other: &Self) -> bool {
        (self.bytes, &self.sha256) == (other.bytes, &other.sha256)
    }
}

impl fmt::Display for BinaryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            bytes,
            sha256,
        } = self;
        write!(f, "{file} of {bytes} bytes, SHA-256 {sha256}")
    }
}
