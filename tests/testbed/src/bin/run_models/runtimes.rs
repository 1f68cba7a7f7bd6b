//! The runtimes that requests name.

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use clarity::{OnnxRuntime, Runtime};

use crate::frame::{RequestHeader, RuntimeName};

/// The runtimes of this process. Each runs a model on one thread.
#[derive(Debug)]
pub(crate) struct Runtimes {
    rten: OnnxRuntime,
    onnxruntime: Option<Box<dyn Runtime>>,
}

impl Runtimes {
    /// rten alone.
    pub(crate) fn new() -> Self {
        Self {
            rten: OnnxRuntime::new().threads(NonZeroUsize::MIN),
            onnxruntime: None,
        }
    }

    /// rten, and ONNX Runtime from a shared library.
    ///
    /// # Errors
    ///
    /// When the library cannot be loaded, or this program is built without ONNX Runtime.
    pub(crate) fn with_library(library: &Path) -> io::Result<Self> {
        let onnxruntime = Some(onnxruntime(library)?);
        Ok(Self {
            onnxruntime,
            ..Self::new()
        })
    }

    /// The runtime that a request names.
    pub(crate) fn find(&self, header: &RequestHeader) -> Result<&dyn Runtime, String> {
        let not_supported = || "not supported".to_owned();
        if header.claims || !header.rewrite || header.dropped.is_some() {
            return Err(not_supported());
        }
        match header.runtime {
            RuntimeName::Rten => Ok(&self.rten),
            RuntimeName::OnnxRuntime => self.onnxruntime.as_deref().ok_or_else(not_supported),
            RuntimeName::Auto => Err(not_supported()),
        }
    }
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(library: &Path) -> io::Result<Box<dyn Runtime>> {
    use clarity::{Digest, OnnxRuntimeLibrary};

    let digest = Digest::of(&std::fs::read(library)?);
    let runtime = OnnxRuntimeLibrary::open(library, digest).map_err(io::Error::other)?;
    Ok(Box::new(runtime.threads(NonZeroUsize::MIN)))
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_library: &Path) -> io::Result<Box<dyn Runtime>> {
    Err(io::Error::other(
        "expected a build with the feature onnxruntime",
    ))
}
