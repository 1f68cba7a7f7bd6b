//! The extensions of the protocol.

/// The names of the extensions that the server supports, as in the server's metadata.
pub(super) const SUPPORTED: [&str; 4] = [
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "statistics",
];

/// The name of the extension that defines a path, if the server does not support this extension.
// Without the name, a client could take the status 404 for a missing model or region.
pub(super) fn unsupported(path: &str) -> Option<&'static str> {
    let mut segments: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
    if let ["models", _, "versions", _, ..] = segments[..] {
        segments.drain(2..4);
    }
    match segments[..] {
        ["trace", "setting"] | ["models", _, "trace", "setting"] => Some("trace"),
        ["logging"] => Some("logging"),
        ["systemsharedmemory", ..] => Some("system_shared_memory"),
        ["cudasharedmemory", ..] => Some("cuda_shared_memory"),
        ["models", _, "generate" | "generate_stream"] => Some("generate"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_an_unsupported_extension_is_recognised() {
        for (path, extension) in [
            ("/v2/trace/setting", "trace"),
            ("/v2/models/m/trace/setting", "trace"),
            ("/v2/logging", "logging"),
            ("/v2/systemsharedmemory/status", "system_shared_memory"),
            (
                "/v2/systemsharedmemory/region/r/register",
                "system_shared_memory",
            ),
            ("/v2/cudasharedmemory/unregister", "cuda_shared_memory"),
            ("/v2/models/m/generate", "generate"),
            ("/v2/models/m/versions/1/generate_stream", "generate"),
        ] {
            assert_eq!(unsupported(path), Some(extension), "{path}");
        }
        for path in [
            "/v2/models/m/config",
            "/v2/models/m/nothing",
            "/v2/models/trace",
            "/v2/traces",
            "/v2/",
            "/v1/trace/setting",
            "",
        ] {
            assert_eq!(unsupported(path), None, "{path}");
        }
    }
}
