//! The circuit breaker of a model: after enough failures in a row nothing is asked of it for a while, then a little.

mod config;
mod permit;
mod word;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

pub use self::config::BreakerConfig;
pub(crate) use self::permit::Permit;
use self::permit::{Outcome, Place};
use self::word::Word;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakerState {
    /// Calls pass; failures are counted.
    Closed,
    /// Calls are rejected until the open time is over.
    Open,
    /// A few calls pass as probes, and decide.
    HalfOpen,
}

/// A breaker as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// Its state. An open breaker whose time is over becomes half-open with the next call, and not before.
    pub state: BreakerState,
    /// How many times it has changed, resets included. An outcome counts only in the generation of its admission.
    pub generation: u64,
    /// The failures in a row while closed; 0 otherwise.
    pub consecutive_failures: u32,
    /// What is left of the open time; none unless open.
    pub open_for: Option<Duration>,
    /// The probes under way while half-open; 0 otherwise.
    pub probes: usize,
    /// Outcomes that arrived in a later generation than that of their admission, and changed nothing.
    pub late_outcomes: u64,
    /// Calls rejected so far.
    pub rejected: u64,
}

/// A change of state, as told to the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) from: BreakerState,
    pub(crate) to: BreakerState,
}

/// A call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// What is left of the open time; zero when half-open with all places taken, which may end at any moment.
    pub(crate) retry_after: Duration,
}

/// Called at each transition, in their order, under the breaker's lock: it must be quick and not call the breaker.
type Hook = Box<dyn Fn(Transition) + Send + Sync>;

/// A circuit breaker that counts failures in a row.
///
/// What a call costs while closed: one load of an atomic to be admitted, one more for a success after a success. No
/// clock is read, nothing is locked, and nothing shared is written. State, generation and count are one atomic word, so
/// that no call can see one of them change without the others; everything else, and every change of state, is behind a
/// lock that only failures, open and half-open breakers take.
pub(crate) struct Breaker {
    config: BreakerConfig,
    word: AtomicU64,
    slow: Mutex<Slow>,
    late_outcomes: AtomicU64,
    rejected: AtomicU64,
    hook: Hook,
}

/// What only matters while not closed.
struct Slow {
    open_until: Instant,
    probes: Vec<Probe>,
    next_place: Place,
    /// Probes that have succeeded since half-open began.
    successes: usize,
}

/// A call under way while half-open, with a lease on its place: a call that hangs gives it back when the lease ends.
struct Probe {
    place: Place,
    until: Instant,
}

impl Breaker {
    /// A closed breaker.
    pub(crate) fn new(
        config: BreakerConfig,
        hook: impl Fn(Transition) + Send + Sync + 'static,
    ) -> Self {
        let slow = Slow {
            open_until: Instant::now(),
            probes: Vec::new(),
            next_place: Place::default(),
            successes: 0,
        };
        Self {
            config,
            word: AtomicU64::new(Word::FIRST.bits()),
            slow: Mutex::new(slow),
            late_outcomes: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            hook: Box::new(hook),
        }
    }

    /// Asks to make a call. The permit must outlive the call and be told its outcome.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Rejected> {
        let word = self.word();
        match word.state() {
            BreakerState::Closed => Ok(Permit::new(self, word.generation(), None)),
            BreakerState::Open | BreakerState::HalfOpen => self.admit_probe(),
        }
    }

    /// Closes it and forgets what it has counted: the model behind it has been replaced. Outcomes of calls that are
    /// under way belong to the old one and change nothing.
    pub(crate) fn reset(&self) {
        self.go_to(&mut self.slow(), BreakerState::Closed);
    }

    /// How it is now.
    pub(crate) fn snapshot(&self) -> BreakerSnapshot {
        let slow = self.slow();
        let word = self.word();
        let open_for = || slow.open_until.saturating_duration_since(Instant::now());
        BreakerSnapshot {
            state: word.state(),
            generation: word.generation(),
            consecutive_failures: word.failures(),
            open_for: (word.state() == BreakerState::Open).then(open_for),
            probes: slow.probes.len(),
            late_outcomes: self.late_outcomes.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    fn admit_probe(&self) -> Result<Permit<'_>, Rejected> {
        let mut slow = self.slow();
        let now = Instant::now();
        if self.word().state() == BreakerState::Open && now >= slow.open_until {
            self.go_to(&mut slow, BreakerState::HalfOpen);
        }
        let word = self.word();
        match word.state() {
            BreakerState::Closed => Ok(Permit::new(self, word.generation(), None)),
            BreakerState::Open => Err(self.reject(slow.open_until - now)),
            BreakerState::HalfOpen => {
                slow.probes.retain(|probe| now < probe.until);
                if slow.successes + slow.probes.len() >= self.config.half_open_permits {
                    return Err(self.reject(Duration::ZERO));
                }
                let place = slow.next_place.take();
                slow.probes.push(Probe {
                    place,
                    until: now + self.config.probe_lease,
                });
                Ok(Permit::new(self, word.generation(), Some(place)))
            }
        }
    }

    fn reject(&self, retry_after: Duration) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejected { retry_after }
    }

    /// Takes the outcome of a call; each permit calls this once.
    fn settle(&self, generation: u64, place: Option<Place>, outcome: Outcome) {
        match (place, outcome) {
            (None, Outcome::Success) => self.succeeded_closed(generation),
            (None, Outcome::Failure) => self.failed_closed(generation),
            (None, Outcome::Cancelled) => {}
            (Some(place), outcome) => self.settle_probe(generation, place, outcome),
        }
    }

    fn succeeded_closed(&self, generation: u64) {
        let forgive = |word: Word| {
            (word.generation() == generation && word.failures() > 0).then(|| word.with_failures(0))
        };
        if self
            .update(forgive)
            .is_err_and(|word| word.generation() != generation)
        {
            self.late();
        }
    }

    fn failed_closed(&self, generation: u64) {
        let below = self.config.failures - 1;
        let count = |word: Word| {
            let counts = word.generation() == generation && word.failures() < below;
            counts.then(|| word.with_failures(word.failures() + 1))
        };
        if self.update(count).is_ok() {
            return;
        }
        // It is late, or the last one that is borne. Under the lock the state cannot change; a success may still come
        // first and start the count anew, and then this failure is the first of the new count.
        let mut slow = self.slow();
        if self.word().generation() != generation {
            self.late();
        } else if self.update(count).is_err() {
            slow.open_until = Instant::now() + self.config.open;
            self.go_to(&mut slow, BreakerState::Open);
        }
    }

    fn settle_probe(&self, generation: u64, place: Place, outcome: Outcome) {
        let mut slow = self.slow();
        let held = slow.probes.iter().position(|probe| probe.place == place);
        let Some(held) = held.filter(|_| self.word().generation() == generation) else {
            if outcome != Outcome::Cancelled {
                self.late();
            }
            return;
        };
        slow.probes.swap_remove(held);
        match outcome {
            Outcome::Cancelled => {}
            Outcome::Failure => {
                slow.open_until = Instant::now() + self.config.open;
                self.go_to(&mut slow, BreakerState::Open);
            }
            Outcome::Success => {
                slow.successes += 1;
                if slow.successes == self.config.half_open_permits {
                    self.go_to(&mut slow, BreakerState::Closed);
                }
            }
        }
    }

    fn late(&self) {
        self.late_outcomes.fetch_add(1, Ordering::Relaxed);
    }

    /// Every change of state goes through here, under the lock.
    fn go_to(&self, slow: &mut Slow, to: BreakerState) {
        slow.probes.clear();
        slow.successes = 0;
        let before = self.update(|word| Some(word.next_generation(to)));
        let from = before.unwrap_or_else(|word| word).state();
        if from != to {
            (self.hook)(Transition { from, to });
        }
    }

    fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Replaces the word by `next` of it, unless that is none; gives the word before, as an error if it was not replaced.
    fn update(&self, next: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let next = |bits| next(Word::from_bits(bits)).map(Word::bits);
        let before = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        before.map(Word::from_bits).map_err(Word::from_bits)
    }

    fn slow(&self) -> MutexGuard<'_, Slow> {
        // Nothing that can panic half-way is done under the lock but the hook, and that is called last.
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BreakerState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word for it in metrics and logs, in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
