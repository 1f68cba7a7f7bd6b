//! The shared library of ONNX Runtime: verified and loaded once in a process.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use thiserror::Error;

use crate::Digest;
use crate::digest::Hasher;
use crate::onnxruntime_telemetry;
use crate::sanitize::sanitize_for_log;

/// The reason why a shared library of ONNX Runtime is not loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The telemetry of ONNX Runtime is not turned off. `clarity` sets the variable by itself.
    #[error(
        "ONNX Runtime would send telemetry: expected {}={} in the environment of this process before its start",
        onnxruntime_telemetry::VARIABLE,
        onnxruntime_telemetry::OFF
    )]
    Telemetry,
    /// The file cannot be read or copied.
    #[error("cannot read the library {}: {source}", path.display())]
    Io {
        /// The path of the library.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file is not the recorded one.
    #[error(
        "the library {} has another digest: expected the SHA-256 {expected}, found {found}; if the file was replaced on purpose, record it with `clarity runtime add`",
        path.display()
    )]
    DigestMismatch {
        /// The path of the library.
        path: PathBuf,
        /// The recorded digest.
        expected: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// The system or the library refuses the load.
    #[error("cannot load the library {}: {why}", path.display())]
    Unloadable {
        /// The path of the library.
        path: PathBuf,
        /// The reason, as a sentence.
        why: String,
    },
    /// This process has loaded another library.
    #[error(
        "cannot load the library {}: this process has already loaded another one, with the SHA-256 {loaded}",
        path.display()
    )]
    OtherLoaded {
        /// The path of the library.
        path: PathBuf,
        /// The digest of the loaded library.
        loaded: Digest,
    },
}

/// The library that this process has loaded. The environment is absent if its creation failed.
static LOADED: Mutex<Option<(Digest, Option<Environment>)>> = Mutex::new(None);

/// Loads the library at `path` if its digest is `expected`, and creates its environment. Returns
/// the present environment if the library with this digest is already loaded.
pub(super) fn load(path: &Path, expected: Digest) -> Result<Environment, LibraryError> {
    if !onnxruntime_telemetry::is_off() {
        return Err(LibraryError::Telemetry);
    }
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let unloadable = |why: String| LibraryError::Unloadable {
        path: path.to_owned(),
        why: sanitize_for_log(why),
    };
    match &*loaded {
        Some((digest, Some(environment))) if *digest == expected => {
            return Ok(environment.clone());
        }
        Some((digest, None)) if *digest == expected => {
            return Err(unloadable("its environment cannot be created".to_owned()));
        }
        Some((digest, _)) => {
            return Err(LibraryError::OtherLoaded {
                path: path.to_owned(),
                loaded: *digest,
            });
        }
        None => {}
    }
    let verified = VerifiedLibrary::read(path, expected)?;
    let builder = ort::init_from(verified.path()).map_err(|error| unloadable(error.to_string()))?;
    // From here on, the process has this library, even if it has no environment.
    let loaded = loaded.insert((expected, None));
    let builder = builder.with_telemetry(false).with_logger(Arc::new(log));
    let environment = builder
        .build()
        .map_err(|error| unloadable(error.to_string()))?;
    environment.set_log_level(LogLevel::Error);
    loaded.1 = Some(environment.clone());
    Ok(environment)
}

/// Logs a message of ONNX Runtime. An error is also the result of a call, so the log needs no
/// second one at the level of errors.
fn log(level: LogLevel, _category: &str, _id: &str, place: &str, message: &str) {
    if level >= LogLevel::Error {
        let message = sanitize_for_log(message);
        tracing::debug!(place, "ONNX Runtime: {message}");
    }
}

/// A library whose bytes have the expected digest.
struct VerifiedLibrary {
    path: PathBuf,
    /// The memory that `path` leads to.
    #[cfg(target_os = "linux")]
    _memory: File,
}

impl VerifiedLibrary {
    /// Where the loader finds the verified bytes.
    fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the library into sealed memory, and hashes the copied bytes.
    // A hash of the file itself would not be enough: the loader maps the file, and sees each later
    // change of it.
    #[cfg(target_os = "linux")]
    fn read(path: &Path, expected: Digest) -> Result<Self, LibraryError> {
        use std::os::fd::AsRawFd;

        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

        let copied = || {
            let sealable = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            // Kernels before 6.3 do not know this flag, and need none.
            let memory = memfd_create("onnxruntime", sealable | MemfdFlags::EXEC)
                .or_else(|_| memfd_create("onnxruntime", sealable))?;
            let mut memory = File::from(memory);
            let found = copy(path, &mut memory)?;
            let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            fcntl_add_seals(&memory, seals)?;
            Ok((memory, found))
        };
        let (memory, found) = copied().map_err(|source| LibraryError::Io {
            path: path.to_owned(),
            source,
        })?;
        check(path, expected, found)?;
        Ok(Self {
            path: format!("/proc/self/fd/{}", memory.as_raw_fd()).into(),
            _memory: memory,
        })
    }

    /// Hashes the file. The loader opens the file again.
    #[cfg(not(target_os = "linux"))]
    fn read(path: &Path, expected: Digest) -> Result<Self, LibraryError> {
        let absolute = std::path::absolute(path)
            .and_then(|absolute| Ok((copy(path, &mut io::sink())?, absolute)));
        let (found, absolute) = absolute.map_err(|source| LibraryError::Io {
            path: path.to_owned(),
            source,
        })?;
        check(path, expected, found)?;
        Ok(Self { path: absolute })
    }
}

fn check(path: &Path, expected: Digest, found: Digest) -> Result<(), LibraryError> {
    match found == expected {
        true => Ok(()),
        false => Err(LibraryError::DigestMismatch {
            path: path.to_owned(),
            expected,
            found,
        }),
    }
}

/// Copies a file, and hashes the copied bytes in the same pass.
fn copy(from: &Path, to: &mut impl io::Write) -> io::Result<Digest> {
    let mut from = open(from)?;
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => {
                hasher.update(&chunk[..count]);
                to.write_all(&chunk[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Opens a regular file. Does not wait for the writer of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let expect_file = |metadata: std::fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("expected a regular file")),
    };
    expect_file(std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    expect_file(file.metadata()?)?;
    Ok(file)
}
