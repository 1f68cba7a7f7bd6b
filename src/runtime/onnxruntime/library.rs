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

/// The library that this process has loaded.
#[derive(Clone, Debug)]
pub(super) struct LoadedLibrary {
    pub(super) digest: Digest,
    /// Empty if it is unknown.
    pub(super) version: String,
    pub(super) environment: Environment,
}

/// What this process has loaded: the digest, and the library if its environment was created.
static LOADED: Mutex<Option<(Digest, Option<LoadedLibrary>)>> = Mutex::new(None);

/// Loads the library at `path` if its digest is `expected`, and creates its environment. Returns
/// the loaded library if it has this digest.
pub(super) fn load(path: &Path, expected: Digest) -> Result<LoadedLibrary, LibraryError> {
    if !onnxruntime_telemetry::is_off() {
        return Err(LibraryError::Telemetry);
    }
    let mut slot = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let unloadable = |why: String| LibraryError::Unloadable {
        path: path.to_owned(),
        why: sanitize_for_log(why),
    };
    match &*slot {
        Some((digest, Some(loaded))) if *digest == expected => return Ok(loaded.clone()),
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
    let builder = ort::init_from(&verified.path).map_err(|error| unloadable(error.to_string()))?;
    // From here on, the process has this library, even if it has no environment.
    let (_, slot) = slot.insert((expected, None));
    let builder = builder.with_telemetry(false).with_logger(Arc::new(log));
    let environment = builder.build();
    let environment = environment.map_err(|error| unloadable(error.to_string()))?;
    environment.set_log_level(LogLevel::Error);
    let loaded = LoadedLibrary {
        digest: expected,
        version: verified.version,
        environment,
    };
    Ok(slot.insert(loaded).clone())
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
    /// The place where the loader finds the verified bytes.
    path: PathBuf,
    version: String,
    /// The memory that `path` leads to.
    #[cfg(target_os = "linux")]
    _memory: File,
}

impl VerifiedLibrary {
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
            let copied = Copied::make(path, &mut memory)?;
            let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            fcntl_add_seals(&memory, seals)?;
            Ok((memory, copied))
        };
        let (memory, copied) = copied().map_err(|source| LibraryError::Io {
            path: path.to_owned(),
            source,
        })?;
        copied.check(path, expected)?;
        Ok(Self {
            path: format!("/proc/self/fd/{}", memory.as_raw_fd()).into(),
            version: copied.version(),
            _memory: memory,
        })
    }

    /// Hashes the file. The loader opens the file again.
    #[cfg(not(target_os = "linux"))]
    fn read(path: &Path, expected: Digest) -> Result<Self, LibraryError> {
        let read = std::path::absolute(path)
            .and_then(|absolute| Ok((Copied::make(path, &mut io::sink())?, absolute)));
        let (copied, absolute) = read.map_err(|source| LibraryError::Io {
            path: path.to_owned(),
            source,
        })?;
        copied.check(path, expected)?;
        Ok(Self {
            path: absolute,
            version: copied.version(),
        })
    }
}

/// A file that was copied, and hashed in the same pass.
struct Copied {
    digest: Digest,
    /// The beginning of the file, where the names of its symbols are.
    head: Vec<u8>,
}

/// The size of [`Copied::head`], in bytes.
const HEAD: usize = 1 << 20;

impl Copied {
    fn make(from: &Path, to: &mut impl io::Write) -> io::Result<Self> {
        let mut from = open(from)?;
        let mut hasher = Hasher::new();
        let mut head = Vec::new();
        let mut chunk = vec![0; HEAD];
        loop {
            let read = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => &chunk[..count],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hasher.update(read);
            to.write_all(read)?;
            let missing = HEAD - head.len();
            head.extend_from_slice(&read[..missing.min(read.len())]);
        }
        Ok(Self {
            digest: hasher.finish(),
            head,
        })
    }

    fn check(&self, path: &Path, expected: Digest) -> Result<(), LibraryError> {
        match self.digest == expected {
            true => Ok(()),
            false => Err(LibraryError::DigestMismatch {
                path: path.to_owned(),
                expected,
                found: self.digest,
            }),
        }
    }

    /// The version of the library; empty if it is unknown.
    // The crate `ort` does not tell it. On Linux the library names its symbols `VERS_1.32.0`, and
    // on macOS itself `libonnxruntime.1.32.0.dylib`.
    fn version(&self) -> String {
        let text = |bytes| str::from_utf8(bytes).ok();
        let name = |text: &str| {
            let version = text.strip_prefix("VERS_").or_else(|| {
                text.rsplit('/')
                    .next()?
                    .strip_prefix("libonnxruntime.")?
                    .strip_suffix(".dylib")
            })?;
            let is_version = |version: &str| {
                version.split('.').count() == 3
                    && version
                        .bytes()
                        .all(|byte| byte == b'.' || byte.is_ascii_digit())
            };
            is_version(version).then(|| version.to_owned())
        };
        let mut names = self.head.split(|byte| *byte == 0).filter_map(text);
        names.find_map(name).unwrap_or_default()
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
