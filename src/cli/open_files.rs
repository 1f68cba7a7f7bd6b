//! The limit on open files.

/// The number of descriptors beside those of connections: for files, listeners and children.
#[cfg(unix)]
const OTHER_FILES: u64 = 256;

/// Raises the soft limit on open files if `connections` connections could exhaust it. Warns if the
/// hard limit is too low, too.
// Without a free descriptor, the server can neither accept the connection of a probe nor read a
// model. Many systems have a soft limit of 1024, the default number of connections.
#[cfg(unix)]
pub(super) fn raise_limit(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= wanted) {
        return;
    }
    let soft = limit.maximum.map_or(wanted, |hard| hard.min(wanted));
    let raised = Rlimit {
        current: Some(soft),
        maximum: limit.maximum,
    };
    let found = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => Some(soft),
        Err(_) => limit.current,
    };
    if found < Some(wanted) {
        let advice = "lower --connections, or raise the limit (ulimit -n, LimitNOFILE)";
        tracing::warn!(connections, wanted, found, advice, "few open files allowed");
    }
}

/// Does nothing: this system has no such limit.
#[cfg(not(unix))]
pub(super) fn raise_limit(_connections: usize) {}
