//! The runtimes that requests name.

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use clarity::{AutoRuntime, ClaimsCheck, RtenRuntime, Runtime};

use crate::frame::{RequestHeader, RuntimeName};

/// The runtimes of this process. Each runs a model on one thread.
#[derive(Debug)]
pub(crate) struct Runtimes {
    onnxruntime: Option<Arc<dyn Runtime>>,
}

impl Runtimes {
    /// rten alone.
    pub(crate) fn new() -> Self {
        Self { onnxruntime: None }
    }

    /// rten, and ONNX Runtime from a shared library.
    ///
    /// # Errors
    ///
    /// When the library cannot be loaded, or this program is built without ONNX Runtime.
    pub(crate) fn with_library(library: &Path) -> io::Result<Self> {
        Ok(Self {
            onnxruntime: Some(onnxruntime(library)?),
        })
    }

    /// The runtime that a request names.
    pub(crate) fn find(&self, header: &RequestHeader) -> Result<Arc<dyn Runtime>, String> {
        let onnxruntime = || {
            let library = "expected the argument --onnxruntime PATH".to_owned();
            self.onnxruntime.clone().ok_or(library)
        };
        Ok(match header.runtime {
            RuntimeName::Rten => Arc::new(rten(header)),
            RuntimeName::OnnxRuntime => onnxruntime()?,
            RuntimeName::Auto => Arc::new(AutoRuntime::new(Arc::new(rten(header)), onnxruntime()?)),
        })
    }
}

/// rten with the claims of a request.
pub(crate) fn rten(header: &RequestHeader) -> RtenRuntime {
    let claims = match (header.claims, header.dropped) {
        (false, _) => ClaimsCheck::Off,
        (true, None) => ClaimsCheck::Whole,
        (true, Some(condition)) => ClaimsCheck::Without(condition),
    };
    let runtime = RtenRuntime::new().threads(NonZeroUsize::MIN);
    runtime.claims(claims).replaces_nodes(header.rewrite)
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(library: &Path) -> io::Result<Arc<dyn Runtime>> {
    use clarity::{Digest, OnnxRuntimeLibrary};

    let digest = Digest::of(&std::fs::read(library)?);
    let runtime = OnnxRuntimeLibrary::open(library, digest).map_err(io::Error::other)?;
    Ok(Arc::new(runtime.threads(NonZeroUsize::MIN)))
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_library: &Path) -> io::Result<Arc<dyn Runtime>> {
    Err(io::Error::other(
        "expected a build with the feature onnxruntime",
    ))
}
