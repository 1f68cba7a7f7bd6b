//! Why a request, a load or a version failed: one list for all who tell it.

use std::fmt;

/// Why something failed. The same word is the `reason` of a problem's body, the label `reason` of a metric and the
/// field `reason` of a log event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The request is for a path that does not exist.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// Loading and unloading are off, since the server has no token for them.
    AdminDisabled,
    /// The token that loading and unloading need is missing or wrong.
    Unauthorized,
    /// No model of that name.
    UnknownModel,
    /// The model has no such version.
    UnknownVersion,
    /// The version exists and is not loaded, since another one of its model is.
    VersionNotLoaded,
    /// The request is malformed, or does not fit the model's inputs.
    InvalidRequest,
    /// The body is larger than the server takes.
    PayloadTooLarge,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The body is in an encoding that the server does not read.
    UnsupportedEncoding,
    /// No version has been tried yet.
    ModelLoading,
    /// The model was unloaded on request, and has not been loaded since.
    ModelUnloaded,
    /// No version, or a file that its manifest lists is not there.
    ModelMissing,
    /// The bytes are not what the manifest promises, or the manifest cannot be believed.
    ModelCorrupt,
    /// There is no manifest to verify against.
    Unverified,
    /// The files cannot be read: permissions, a failing disk.
    ModelUnreadable,
    /// The bytes are what the manifest promises, and the runtime cannot serve them.
    ModelIncompatible,
    /// The circuit breaker of the model is open.
    CircuitOpen,
    /// The server has as much to do as it may.
    Overloaded,
    /// The model failed on a valid request: an error, a panic, a value that is not finite.
    InferenceFailed,
    /// The model did not answer in time.
    DeadlineExceeded,
    /// The client went away before the answer.
    Cancelled,
}

impl Reason {
    /// What a request to a known model can fail with: the values of `reason` in `prediction_failure_total`.
    pub const OF_PREDICTIONS: [Self; 18] = [
        Self::UnknownVersion,
        Self::VersionNotLoaded,
        Self::InvalidRequest,
        Self::PayloadTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedEncoding,
        Self::ModelLoading,
        Self::ModelUnloaded,
        Self::ModelMissing,
        Self::ModelCorrupt,
        Self::Unverified,
        Self::ModelUnreadable,
        Self::ModelIncompatible,
        Self::CircuitOpen,
        Self::Overloaded,
        Self::InferenceFailed,
        Self::DeadlineExceeded,
        Self::Cancelled,
    ];

    /// What loading a version can fail with: the values of `reason` in `model_load_failures_total`.
    pub const OF_LOADS: [Self; 5] = [
        Self::ModelMissing,
        Self::ModelCorrupt,
        Self::Unverified,
        Self::ModelUnreadable,
        Self::ModelIncompatible,
    ];

    /// The word, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AdminDisabled => "admin_disabled",
            Self::Unauthorized => "unauthorized",
            Self::UnknownModel => "unknown_model",
            Self::UnknownVersion => "unknown_version",
            Self::VersionNotLoaded => "version_not_loaded",
            Self::InvalidRequest => "invalid_request",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::ModelLoading => "model_loading",
            Self::ModelUnloaded => "model_unloaded",
            Self::ModelMissing => "model_missing",
            Self::ModelCorrupt => "model_corrupt",
            Self::Unverified => "unverified",
            Self::ModelUnreadable => "model_unreadable",
            Self::ModelIncompatible => "model_incompatible",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::InferenceFailed => "inference_failed",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
