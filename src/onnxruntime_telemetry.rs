//! The telemetry of ONNX Runtime, which must be off before the library is loaded.

/// The environment variable that turns the telemetry off.
// The library reads the variable when it is loaded. From version 1.29 on, the telemetry is on by
// default: it starts a thread, writes files and sends data.
pub(crate) const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// The value that turns the telemetry off.
pub(crate) const OFF: &str = "1";

/// Whether the environment of this process turns the telemetry off.
#[cfg(feature = "onnxruntime")]
pub(crate) fn is_off() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| value == OFF)
}
