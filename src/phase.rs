//! The phases of a server's life.

use tokio::sync::watch;

/// A phase of a server's life. Phases only advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The server accepts connections and keeps them open.
    Serving,
    /// The server is not ready. It still accepts connections, and each response closes its
    /// connection.
    Leaving,
    /// The server accepts no connections. Running requests are answered.
    Draining,
}

/// Waits until the drain begins, or until the server is dropped.
pub(crate) async fn drain_begun(phase: &mut watch::Receiver<Phase>) {
    // An error means that the server was dropped.
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}
