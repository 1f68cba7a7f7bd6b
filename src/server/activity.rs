//! The activity of one connection: its running requests, and the time since the last one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::phase::Phase;

/// The least time without a running request after which a connection may be evicted.
// A client that has just opened its connection, or got its answer, is about to send a request. A
// head consists of few packets, so a second also suffices for the rest of a head.
pub(super) const LEAST_IDLE: Duration = Duration::from_secs(1);

/// The value of `head_began` while no part of a head has arrived.
const NO_HEAD: u64 = u64::MAX;

/// The activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// The number of running requests.
    count: AtomicUsize,
    /// Notified when `count` reaches 0. `count` may be above 0 again when the waiter runs.
    ended: Notify,
    began: Instant,
    /// The start of the idle period in nanoseconds since `began`; meaningless while requests run.
    idle_since: AtomicU64,
    /// The arrival of the first bytes of an unfinished head, in nanoseconds since `began`. Without
    /// such a head, `NO_HEAD`.
    head_began: AtomicU64,
    /// Whether the next read that finds no bytes asks the operating system for unread ones.
    checking: AtomicBool,
    unread: AtomicBool,
    /// Whether the connection is asked to end, so that a new connection can take its place.
    evicted: AtomicBool,
    eviction: Notify,
    phase: watch::Receiver<Phase>,
}

/// The inactivity of a connection without a running request. The greatest value is evicted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inactivity {
    /// Whether no byte of a request has arrived.
    // Before a connection with an unfinished head, an idle one is evicted: its client waits for
    // nothing.
    pub(super) is_empty: bool,
    /// The time since the idle period or the unfinished head began.
    pub(super) time: Duration,
}

impl Activity {
    pub(super) fn new(phase: watch::Receiver<Phase>) -> Self {
        Self {
            count: AtomicUsize::new(0),
            ended: Notify::new(),
            began: Instant::now(),
            idle_since: AtomicU64::new(0),
            head_began: AtomicU64::new(NO_HEAD),
            checking: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
            eviction: Notify::new(),
            phase,
        }
    }

    /// Whether each response closes the connection.
    pub(super) fn is_leaving(&self) -> bool {
        *self.phase.borrow() > Phase::Serving
    }

    pub(super) fn has_request(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Waits until all responses are written.
    pub(super) async fn wait_idle(&self) {
        while self.has_request() {
            self.ended.notified().await;
        }
    }

    /// Waits until the connection has been idle for `time`.
    ///
    /// An idle period starts when the connection opens or a response ends. The period ends with the
    /// next request head.
    // Each connection has one timer, which is set again only after it has fired. So the timer adds
    // nearly no cost to a request.
    pub(super) async fn wait_idle_for(&self, time: Duration) {
        loop {
            self.wait_idle().await;
            let since = Duration::from_nanos(self.idle_since.load(Ordering::Acquire));
            let over = self.began + since + time;
            if over <= Instant::now() {
                return;
            }
            sleep_until(over).await;
        }
    }

    /// The inactivity of the connection; `None` while a request runs, or once the connection is
    /// asked to end.
    pub(super) fn inactivity(&self) -> Option<Inactivity> {
        if self.has_request() || self.evicted.load(Ordering::Acquire) {
            return None;
        }
        let (since, is_empty) = match self.head_began.load(Ordering::Acquire) {
            NO_HEAD => (self.idle_since.load(Ordering::Acquire), true),
            began => (began, false),
        };
        let time = Duration::from_nanos(self.nanos().saturating_sub(since));
        Some(Inactivity { is_empty, time })
    }

    /// Asks the connection to end.
    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.eviction.notify_one();
    }

    /// Waits until the connection is asked to end.
    pub(super) async fn eviction(&self) {
        self.eviction.notified().await;
    }

    /// Whether a head has begun to arrive, but is incomplete after the time [`LEAST_IDLE`].
    pub(super) fn is_stalled(&self) -> bool {
        let began = self.head_began.load(Ordering::Acquire);
        let time = Duration::from_nanos(self.nanos().saturating_sub(began));
        !self.has_request() && began != NO_HEAD && time >= LEAST_IDLE
    }

    /// Keeps the connection that was asked to end.
    pub(super) fn stay(&self) {
        self.evicted.store(false, Ordering::Release);
    }

    /// Records that bytes have arrived.
    pub(super) fn bytes_read(&self) {
        if !self.has_request() && self.head_began.load(Ordering::Relaxed) == NO_HEAD {
            self.head_began.store(self.nanos(), Ordering::Release);
        }
    }

    /// Lets the next read find unread bytes that Tokio does not know of yet.
    pub(super) fn begin_check(&self) {
        self.unread.store(false, Ordering::Relaxed);
        self.checking.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_checking(&self) -> bool {
        self.checking.load(Ordering::Relaxed)
    }

    pub(super) fn unread_found(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    /// Ends the check. Returns whether no request runs or arrives.
    pub(super) fn end_check(&self) -> bool {
        self.checking.store(false, Ordering::Relaxed);
        let is_unread = self.unread.load(Ordering::Relaxed);
        let is_empty = self.head_began.load(Ordering::Acquire) == NO_HEAD;
        !is_unread && is_empty && !self.has_request()
    }

    /// The time since the connection opened, in nanoseconds.
    fn nanos(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(NO_HEAD - 1)
    }
}

/// Counts one request as running until this value is dropped.
#[derive(Debug)]
pub(super) struct InFlightRequest(Arc<Activity>);

impl InFlightRequest {
    pub(super) fn mark(activity: &Arc<Activity>) -> Self {
        activity.count.fetch_add(1, Ordering::Relaxed);
        activity.head_began.store(NO_HEAD, Ordering::Release);
        Self(Arc::clone(activity))
    }

    /// Whether the response closes the connection.
    pub(super) fn is_last(&self) -> bool {
        self.0.is_leaving()
    }
}

impl Clone for InFlightRequest {
    fn clone(&self) -> Self {
        Self::mark(&self.0)
    }
}

impl Drop for InFlightRequest {
    fn drop(&mut self) {
        let activity = &*self.0;
        if activity.count.load(Ordering::Relaxed) == 1 {
            activity
                .idle_since
                .store(activity.nanos(), Ordering::Release);
        }
        if activity.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            activity.ended.notify_one();
        }
    }
}
