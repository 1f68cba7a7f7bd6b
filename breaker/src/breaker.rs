//! The circuit breaker: admission, control and observation.

mod outcomes;
mod permit;
mod transitions;

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::broadcast;

use self::permit::Admission;
pub use self::permit::Permit;
use super::backoff::Backoff;
use super::call_window::CallWindow;
use super::config::{BreakerConfig, BreakerConfigError};
use super::event::{BreakerEvent, BreakerEvents};
use super::half_open::{HalfOpen, ProbeId};
use super::packed_state::PackedState;
use super::primitives::{AtomicU64, Instant, Mutex, MutexGuard, Ordering, now};
use super::rejected::Rejected;
use super::snapshot::BreakerSnapshot;
use super::state::BreakerState;
use super::trip_rule::TripRule;

/// A circuit breaker: after too many failed calls, it rejects all calls for a while.
///
/// # Cost
///
/// A call through a closed breaker costs one atomic load for its admission. A success that changes
/// no count costs a second load. Such a success follows another success, or a whole window of good
/// calls. Neither load comes with a clock read, a lock or a write to shared memory. While a window
/// of calls holds bad calls, a success adds 1 to an atomic counter. Slow calls and windows of time
/// need a clock. In a window of time, each success takes a lock, which threads seldom share.
// State, generation and count share one atomic word, so no call sees one of the three change
// without the others. A lock guards each change of state and the fields of `Guarded`. Only bad
// calls and breakers that are not closed take that lock.
pub struct Breaker {
    config: BreakerConfig,
    rule: TripRule,
    /// Copied from the rule: the count at which a success has no effect.
    saturated_count: Option<u32>,
    /// Copied from the rule: the duration after which a call is slow.
    slow_after: Option<Duration>,
    packed: AtomicU64,
    guarded: Mutex<Guarded>,
    late_outcomes: AtomicU64,
    rejected: AtomicU64,
    hook: Option<Hook>,
    events: broadcast::Sender<BreakerEvent>,
}

type Hook = Box<dyn Fn(&BreakerEvent) + Send + Sync>;

/// The fields that the lock guards.
struct Guarded {
    backoff: Backoff,
    open_until: Instant,
    half_open: HalfOpen,
    /// The suspected failures among the failures in a row. Meaningless while the count is 0, and
    /// unused unless the rule counts failures in a row.
    suspected: u32,
    /// Unused unless the rule has a window of calls.
    window: CallWindow,
}

impl Breaker {
    /// Creates a closed breaker.
    ///
    /// # Errors
    ///
    /// The first setting of `config` that is out of its bounds.
    pub fn new(config: BreakerConfig) -> Result<Self, BreakerConfigError> {
        config.check()?;
        let start = now();
        let rule = TripRule::new(&config.trip, start);
        let longest = config.open_most.max(config.open);
        let seed = config.seed.unwrap_or_else(Backoff::random_seed);
        let guarded = Guarded {
            backoff: Backoff::new(config.open, longest, seed)
                .with_jitter(f64::from(config.jitter_percent) / 100.0),
            open_until: start,
            half_open: HalfOpen::default(),
            suspected: 0,
            window: CallWindow::new(rule.window_size()),
        };
        Ok(Self {
            config,
            saturated_count: rule.saturated_count(),
            slow_after: rule.slow_after(),
            rule,
            packed: AtomicU64::new(PackedState::INITIAL.bits()),
            guarded: Mutex::new(guarded),
            late_outcomes: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            hook: None,
            events: broadcast::Sender::new(BreakerEvents::CAPACITY),
        })
    }

    /// Calls `hook` at each change of state, in order.
    ///
    /// The hook runs under the breaker's lock: it must be quick, and must not call the breaker.
    #[must_use]
    pub fn with_hook(self, hook: impl Fn(&BreakerEvent) + Send + Sync + 'static) -> Self {
        Self {
            hook: Some(Box::new(hook)),
            ..self
        }
    }

    /// Asks for a permit to make one call. The caller holds the permit during the call, then
    /// reports the outcome to the permit.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the breaker is open, or half-open with all probes taken.
    #[inline]
    pub fn admit(&self) -> Result<Permit<'_>, Rejected> {
        let packed = self.load();
        let (packed, probe) = match packed.state() {
            BreakerState::Closed | BreakerState::Disabled => (packed, None),
            _ => self.admit_probe()?,
        };
        let at = self.slow_after.map(|_| now());
        Ok(Permit::new(self, Admission { packed, probe, at }))
    }

    /// Rejects a call early, before the cost of its preparation. Reserves no probe: a call that is
    /// not rejected still needs [`admit`](Self::admit).
    ///
    /// # Errors
    ///
    /// [`Rejected`] while the open time is not over, or the breaker is forced open.
    #[inline]
    pub fn reject_if_open(&self) -> Result<(), Rejected> {
        match self.load().state() {
            BreakerState::Open | BreakerState::ForcedOpen => self.reject_if_still_open(),
            _ => Ok(()),
        }
    }

    /// Closes the breaker and forgets its counts. Call it when the service behind the breaker is
    /// replaced.
    ///
    /// Outcomes of calls under way belong to the old service and have no effect. A breaker that is
    /// forced open or disabled keeps its state.
    pub fn reset(&self) {
        let mut guarded = self.lock();
        let state = self.load().state();
        let to = match state.is_forced() {
            true => state,
            false => BreakerState::Closed,
        };
        self.transition(&mut guarded, to);
    }

    /// Rejects all calls until [`release`](Self::release) or [`disable`](Self::disable).
    pub fn force_open(&self) {
        self.transition(&mut self.lock(), BreakerState::ForcedOpen);
    }

    /// Admits all calls, and counts no outcome, until [`release`](Self::release) or
    /// [`force_open`](Self::force_open).
    pub fn disable(&self) {
        self.transition(&mut self.lock(), BreakerState::Disabled);
    }

    /// Closes the breaker if it is forced open or disabled.
    pub fn release(&self) {
        let mut guarded = self.lock();
        if self.load().state().is_forced() {
            self.transition(&mut guarded, BreakerState::Closed);
        }
    }

    /// Subscribes to all later changes of state.
    pub fn subscribe(&self) -> BreakerEvents {
        BreakerEvents::new(self.events.subscribe())
    }

    /// The state and the counts at this moment.
    pub fn snapshot(&self) -> BreakerSnapshot {
        let guarded = self.lock();
        let packed = self.load();
        let closed = packed.state() == BreakerState::Closed;
        let open = packed.state() == BreakerState::Open;
        let (consecutive_failures, window) = match &self.rule {
            TripRule::Failures { .. } => (packed.count(), None),
            TripRule::Calls { .. } => (0, Some(guarded.window.counts(packed.count()))),
            TripRule::Time { window, .. } => {
                (0, Some(window.tally(packed.generation(), now()).counts))
            }
        };
        BreakerSnapshot {
            state: packed.state(),
            generation: packed.generation(),
            consecutive_failures,
            window: window.filter(|_| closed),
            open_for: open.then(|| guarded.open_until.saturating_duration_since(now())),
            probes: guarded.half_open.under_way(),
            late_outcomes: self.late_outcomes.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    fn reject_if_still_open(&self) -> Result<(), Rejected> {
        let guarded = self.lock();
        let state = self.load().state();
        let retry_after = match state {
            BreakerState::Open => guarded.open_until.saturating_duration_since(now()),
            BreakerState::ForcedOpen => self.config.open,
            BreakerState::Closed | BreakerState::HalfOpen | BreakerState::Disabled => return Ok(()),
        };
        if state == BreakerState::Open && retry_after.is_zero() {
            return Ok(());
        }
        Err(self.reject(state, retry_after))
    }

    #[cold]
    fn admit_probe(&self) -> Result<(PackedState, Option<ProbeId>), Rejected> {
        let mut guarded = self.lock();
        let now = now();
        if self.load().state() == BreakerState::Open && now >= guarded.open_until {
            self.transition(&mut guarded, BreakerState::HalfOpen);
        }
        let packed = self.load();
        let state = packed.state();
        let retry_after = match state {
            BreakerState::Closed | BreakerState::Disabled => return Ok((packed, None)),
            BreakerState::Open => guarded.open_until - now,
            BreakerState::ForcedOpen => self.config.open,
            BreakerState::HalfOpen => {
                let (permits, lease) = (self.config.half_open_permits, self.config.probe_lease);
                match guarded.half_open.admit(permits, now, lease) {
                    Some(probe) => return Ok((packed, Some(probe))),
                    None => Duration::ZERO,
                }
            }
        };
        Err(self.reject(state, retry_after))
    }

    fn reject(&self, state: BreakerState, retry_after: Duration) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejected { state, retry_after }
    }

    /// Loads state, generation and count.
    // Acquires all writes made before the generation began, so a call that is admitted after a
    // reset sees the new service.
    #[inline]
    fn load(&self) -> PackedState {
        PackedState::from_bits(self.packed.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        // Only the hook can panic under the lock, and the hook is called last, so the fields are
        // consistent.
        self.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("config", &self.config)
            .field("now", &self.snapshot())
            .finish_non_exhaustive()
    }
}
