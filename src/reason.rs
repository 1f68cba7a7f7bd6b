//! The reasons of failures.

use std::fmt;

/// The reason of a failure. The name of the reason is the value of `reason` in error responses,
/// metric labels and log events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// The request path does not exist.
    NotFound,
    /// The request path does not support the HTTP method.
    MethodNotAllowed,
    /// Loading and unloading are disabled: the server has no admin token.
    AdminDisabled,
    /// The admin token for loading and unloading is missing or wrong.
    Unauthorized,
    /// No model has this name.
    UnknownModel,
    /// The model does not have this version.
    UnknownVersion,
    /// The version exists but is not loaded, while another version of the model is loaded.
    VersionNotLoaded,
    /// The request is malformed, or does not fit the model's inputs.
    InvalidRequest,
    /// The request is well-formed, but the model cannot process its values. The model itself works.
    InputRejected,
    /// The request body exceeds the size limit, or the request needs more memory than the memory
    /// limit allows.
    PayloadTooLarge,
    /// The request body did not arrive in time.
    RequestTimeout,
    /// The server does not support the encoding of the request body.
    UnsupportedEncoding,
    /// The server has no model with a version, so it is not ready.
    NoModels,
    /// The server is shutting down, so it is not ready. It still answers requests.
    ShuttingDown,
    /// The first load of the model has not ended.
    ModelLoading,
    /// The only version that could answer is still being copied into the store.
    ModelArriving,
    /// The model was unloaded on request.
    ModelUnloaded,
    /// No version exists, or a file that the manifest lists is missing.
    ModelMissing,
    /// The bytes of a file differ from the manifest, or the manifest is invalid.
    ModelCorrupt,
    /// The version has no manifest.
    Unverified,
    /// A symlink leads to the version or to a file of it, and must not be followed.
    LinkNotAllowed,
    /// The files cannot be read, for example because of permissions or a failing disk.
    ModelUnreadable,
    /// The model runtime cannot serve the verified bytes.
    ModelIncompatible,
    /// The circuit breaker rejects requests to the model.
    CircuitOpen,
    /// The server has no capacity for another request.
    Overloaded,
    /// The model failed on a valid request, with an error, a panic or a value that is not finite.
    /// The fault is the model's, or unknown.
    InferenceFailed,
    /// The process of the model had no memory for the run.
    OutOfMemory,
    /// The process that ran the model died.
    WorkerDied,
    /// The model did not answer in time.
    DeadlineExceeded,
    /// The client closed the connection before the answer.
    Cancelled,
}

impl Reason {
    /// The reasons for which requests to a known model fail: the values of the label `reason` of
    /// `prediction_failure_total`.
    pub const OF_PREDICTIONS: &'static [Self] = &[
        Self::UnknownVersion,
        Self::VersionNotLoaded,
        Self::InvalidRequest,
        Self::InputRejected,
        Self::PayloadTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedEncoding,
        Self::ModelLoading,
        Self::ModelArriving,
        Self::ModelUnloaded,
        Self::ModelMissing,
        Self::ModelCorrupt,
        Self::Unverified,
        Self::LinkNotAllowed,
        Self::ModelUnreadable,
        Self::ModelIncompatible,
        Self::CircuitOpen,
        Self::Overloaded,
        Self::InferenceFailed,
        Self::OutOfMemory,
        Self::WorkerDied,
        Self::DeadlineExceeded,
        Self::Cancelled,
    ];

    /// The reasons for which requests leave the queue of a model without a run: the values of the
    /// label `reason` of `prediction_left_queue_total`.
    pub const OF_DEPARTURES: &'static [Self] = &[Self::Overloaded, Self::Cancelled];

    /// The reasons for which loads fail: the values of the label `reason` of
    /// `model_load_failures_total`.
    pub const OF_LOADS: &'static [Self] = &[
        Self::ModelMissing,
        Self::ModelCorrupt,
        Self::Unverified,
        Self::LinkNotAllowed,
        Self::ModelUnreadable,
        Self::ModelIncompatible,
    ];

    /// The name of the reason in snake case.
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
            Self::InputRejected => "input_rejected",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedEncoding => "unsupported_encoding",
            Self::NoModels => "no_models",
            Self::ShuttingDown => "shutting_down",
            Self::ModelLoading => "model_loading",
            Self::ModelArriving => "model_arriving",
            Self::ModelUnloaded => "model_unloaded",
            Self::ModelMissing => "model_missing",
            Self::ModelCorrupt => "model_corrupt",
            Self::Unverified => "unverified",
            Self::LinkNotAllowed => "link_not_allowed",
            Self::ModelUnreadable => "model_unreadable",
            Self::ModelIncompatible => "model_incompatible",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::InferenceFailed => "inference_failed",
            Self::OutOfMemory => "out_of_memory",
            Self::WorkerDied => "worker_died",
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
