//! Accepts the connections of one listener.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

use super::activity::{Activity, LEAST_IDLE};
use super::connection::{self, ConnectionSettings};
use super::listener::Listener;
use super::stream::Stream;
use crate::phase::{Phase, drain_begun};

/// The pause after a failed attempt to accept a connection.
// Most of these attempts fail because no file descriptor is free. During the pause, some
// connections can close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The interval between two searches for a connection that can be evicted.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);

/// The task that accepts connections.
pub(super) struct AcceptLoop {
    pub(super) listener: Listener,
    /// The maximum number of open connections. At the limit, one further connection is accepted,
    /// and waits. The others wait in the kernel's backlog.
    // An error response to each further connection would cost as much as serving the connection.
    pub(super) limit: usize,
    pub(super) settings: ConnectionSettings,
}

/// The open connections, each of which is a task.
#[derive(Default)]
struct OpenConnections {
    tasks: JoinSet<()>,
    activities: HashMap<Id, Arc<Activity>>,
}

impl AcceptLoop {
    /// Accepts connections until the drain begins. Returns the open connections, each of which ends
    /// after its running request.
    pub(super) async fn run(mut self) -> JoinSet<()> {
        let mut phase = self.settings.phase.clone();
        let mut open = OpenConnections::default();
        let mut was_full = false;
        loop {
            tokio::select! {
                () = drain_begun(&mut phase) => break,
                () = open.join_next(), if !open.tasks.is_empty() => {}
                accepted = poll_fn(|context| self.listener.poll_accept(context)) => match accepted {
                    Ok(stream) => {
                        if open.tasks.len() >= self.limit && !was_full {
                            // Logs this only once, because clients can reach the limit any number
                            // of times, and must not fill the log.
                            tracing::warn!(connections = self.limit, "connection limit reached");
                            was_full = true;
                        }
                        open.make_room(self.limit, &mut phase).await;
                        open.serve(stream, &self.settings);
                    }
                    Err(error) => {
                        tracing::warn!(detail = %error, "cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        self.accept_backlog(&mut open).await;
        open.tasks
    }

    /// Accepts the connections that wait in the kernel's backlog, up to the connection limit.
    // The kernel resets the waiting connections when the listener closes.
    async fn accept_backlog(&mut self, open: &mut OpenConnections) {
        for _ in 0..2 {
            while open.tasks.len() < self.limit
                && let Some(stream) = self.accept_now().await
            {
                open.serve(stream, &self.settings);
            }
            // Tokio learns of further connections when it polls the operating system.
            yield_now().await;
        }
    }

    /// Accepts a connection that has arrived already.
    async fn accept_now(&mut self) -> Option<Stream> {
        poll_fn(|context| {
            Poll::Ready(match self.listener.poll_accept(context) {
                Poll::Ready(accepted) => accepted.ok(),
                Poll::Pending => None,
            })
        })
        .await
    }
}

impl OpenConnections {
    fn serve(&mut self, stream: Stream, settings: &ConnectionSettings) {
        let activity = Arc::new(Activity::new(settings.phase.clone()));
        let connection = connection::serve(stream, Arc::clone(&activity), settings.clone());
        let task = self.tasks.spawn(connection);
        self.activities.insert(task.id(), activity);
    }

    /// Waits until a connection has ended. Must not be called without an open connection.
    async fn join_next(&mut self) {
        // Discards the results, because each connection task has logged its own errors.
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.activities.remove(&id);
    }

    /// Waits until less than `limit` connections are open, or until the drain begins. Evicts the
    /// connection that has been idle for the longest time.
    async fn make_room(&mut self, limit: usize, phase: &mut watch::Receiver<Phase>) {
        while self.tasks.len() >= limit {
            let pause = self.evict();
            tokio::select! {
                () = drain_begun(phase) => return,
                () = self.join_next() => {}
                () = sleep_until(Instant::now() + pause) => {}
            }
        }
    }

    /// Evicts a connection, if one has been idle for the time [`LEAST_IDLE`]. Returns the pause
    /// before the next search.
    fn evict(&self) -> Duration {
        let inactive = self.activities.values();
        let inactive = inactive.filter_map(|activity| Some((activity.inactivity()?, activity)));
        let longest =
            inactive.max_by_key(|(inactivity, _)| (inactivity.time >= LEAST_IDLE, *inactivity));
        match longest {
            Some((inactivity, activity)) if inactivity.time >= LEAST_IDLE => {
                activity.evict();
                SEARCH_PAUSE
            }
            Some((inactivity, _)) => SEARCH_PAUSE.min(LEAST_IDLE - inactivity.time),
            None => SEARCH_PAUSE,
        }
    }
}
