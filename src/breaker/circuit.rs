//! The circuit breaker itself.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::broadcast;

use super::call_window::CallWindow;
use super::config::BreakerConfig;
use super::counting::Counting;
use super::event::{BreakerEvent, BreakerEvents};
use super::half_open::{Decision, HalfOpen, Place};
use super::permit::{Admission, Outcome, Permit};
use super::primitives::{AtomicU64, Instant, Mutex, MutexGuard, Ordering, now};
use super::rejected::Rejected;
use super::snapshot::BreakerSnapshot;
use super::state::BreakerState;
use super::verdict::Verdict;
use super::word::Word;
use crate::backoff::Backoff;

/// A circuit breaker.
///
/// What a call costs while closed: one load of an atomic to be admitted, and one more for a success that changes
/// nothing, which is one after a success, or after a whole window of them. No clock is read, nothing is locked, and
/// nothing shared is written. While there are bad calls in a window of calls, a success adds one to an atomic. Only
/// slow calls and windows of time need a clock, and only windows of time a lock for a success, which is the thread's own.
///
/// State, generation and count are one atomic word, so that no call can see one of them change without the others.
/// Every change of state, and all that is not in the word, is behind a lock that only bad calls and breakers that are
/// not closed take.
pub(crate) struct Breaker {
    config: BreakerConfig,
    counting: Counting,
    /// What [`Counting`] says of it, at hand: the count at which a good call makes no difference.
    quiet: Option<u32>,
    /// The same: how long a call may take before it is slow, if anything is.
    slow_after: Option<Duration>,
    word: AtomicU64,
    guarded: Mutex<Guarded>,
    late_outcomes: AtomicU64,
    rejected: AtomicU64,
    hook: Hook,
    events: broadcast::Sender<BreakerEvent>,
}

/// Called at each change of state, in their order, under the breaker's lock: it must be quick and not call the breaker.
type Hook = Box<dyn Fn(&BreakerEvent) + Send + Sync>;

/// What is behind the lock.
struct Guarded {
    backoff: Backoff,
    open_until: Instant,
    half_open: HalfOpen,
    /// Unused unless calls are counted.
    window: CallWindow,
}

impl Breaker {
    /// A closed breaker. The random part of its open times follows from `seed`.
    pub(crate) fn new(
        config: BreakerConfig,
        seed: u64,
        hook: impl Fn(&BreakerEvent) + Send + Sync + 'static,
    ) -> Self {
        let start = now();
        let counting = Counting::new(&config.trip, start);
        let most = config.open_most.max(config.open);
        let guarded = Guarded {
            backoff: Backoff::new(config.open, most, seed)
                .jitter(f64::from(config.jitter_percent) / 100.0),
            open_until: start,
            half_open: HalfOpen::default(),
            window: CallWindow::new(counting.size()),
        };
        Self {
            config,
            quiet: counting.quiet(),
            slow_after: counting.slow_after(),
            counting,
            word: AtomicU64::new(Word::FIRST.bits()),
            guarded: Mutex::new(guarded),
            late_outcomes: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            hook: Box::new(hook),
            events: broadcast::Sender::new(BreakerEvents::CAPACITY),
        }
    }

    /// Asks to make a call. The permit must outlive the call and be told its outcome.
    #[inline]
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Rejected> {
        let word = self.word();
        let (word, place) = match word.state() {
            BreakerState::Closed | BreakerState::Disabled => (word, None),
            _ => self.admit_probe()?,
        };
        let at = self.slow_after.map(|_| now());
        Ok(Permit::new(self, Admission { word, place, at }))
    }

    /// Rejects while it is open for some time yet. Asked before a request is read, so that it is not read in vain; who passes
    /// must [be admitted](Self::admit) all the same.
    #[inline]
    pub(crate) fn look(&self) -> Result<(), Rejected> {
        match self.word().state() {
            BreakerState::Open | BreakerState::ForcedOpen => self.look_closely(),
            _ => Ok(()),
        }
    }

    /// Closes it and forgets what it has counted: the model behind it has been replaced. Outcomes of calls that are
    /// under way belong to the old one and change nothing. What an operator has decided stays.
    pub(crate) fn reset(&self) {
        let mut guarded = self.lock();
        let state = self.word().state();
        let to = match state.is_forced() {
            true => state,
            false => BreakerState::Closed,
        };
        self.go_to(&mut guarded, to);
    }

    /// Rejects all calls until it is released or disabled.
    pub(crate) fn force_open(&self) {
        self.go_to(&mut self.lock(), BreakerState::ForcedOpen);
    }

    /// Admits all calls and counts nothing until it is released or forced open.
    pub(crate) fn disable(&self) {
        self.go_to(&mut self.lock(), BreakerState::Disabled);
    }

    /// Closes it if it was forced open or disabled.
    pub(crate) fn release(&self) {
        let mut guarded = self.lock();
        if self.word().state().is_forced() {
            self.go_to(&mut guarded, BreakerState::Closed);
        }
    }

    /// Its changes of state from now on.
    pub(crate) fn subscribe(&self) -> BreakerEvents {
        BreakerEvents::new(self.events.subscribe())
    }

    /// How it is now.
    pub(crate) fn snapshot(&self) -> BreakerSnapshot {
        let guarded = self.lock();
        let word = self.word();
        let closed = word.state() == BreakerState::Closed;
        let open = word.state() == BreakerState::Open;
        let (consecutive_failures, window) = match &self.counting {
            Counting::Failures { .. } => (word.count(), None),
            Counting::Calls { .. } => (0, Some(guarded.window.counts(word.count()))),
            Counting::Time { window, .. } => (0, Some(window.counts(word.generation(), now()))),
        };
        BreakerSnapshot {
            state: word.state(),
            generation: word.generation(),
            consecutive_failures,
            window: window.filter(|_| closed),
            open_for: open.then(|| guarded.open_until.saturating_duration_since(now())),
            probes: guarded.half_open.under_way(),
            late_outcomes: self.late_outcomes.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
        }
    }

    /// Whether nothing has happened since a call was admitted at `word`, and its success changes nothing.
    #[inline]
    pub(super) fn is_quiet_since(&self, word: Word) -> bool {
        let unmoved = self.word() == word;
        unmoved && self.quiet.is_some_and(|count| word.is_closed_at(count))
    }

    /// Takes the outcome of a call that was admitted at `word`, once, unless it was a success and
    /// [quiet](Self::is_quiet_since).
    #[inline(never)]
    pub(super) fn settle(
        &self,
        word: Word,
        place: Option<Place>,
        at: Option<Instant>,
        outcome: Outcome,
    ) {
        let failed = match outcome {
            Outcome::Success => false,
            Outcome::Failure => true,
            Outcome::Cancelled => {
                if let Some(place) = place {
                    self.lock().half_open.give_back(place);
                }
                return;
            }
        };
        let slow = at.is_some_and(|at| self.is_slow(at));
        let verdict = Verdict { failed, slow };
        let generation = word.generation();
        match (place, verdict.is_bad()) {
            (Some(place), bad) => self.settle_probe(generation, place, bad),
            (None, false) => self.settle_good(generation, verdict),
            (None, true) => self.settle_bad(generation, verdict),
        }
    }

    fn look_closely(&self) -> Result<(), Rejected> {
        let guarded = self.lock();
        let state = self.word().state();
        let retry_after = match state {
            BreakerState::Open => guarded.open_until.saturating_duration_since(now()),
            BreakerState::ForcedOpen => self.config.open,
            BreakerState::Closed | BreakerState::HalfOpen | BreakerState::Disabled => return Ok(()),
        };
        if state == BreakerState::Open && retry_after.is_zero() {
            return Ok(());
        }
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Err(Rejected { state, retry_after })
    }

    #[cold]
    fn admit_probe(&self) -> Result<(Word, Option<Place>), Rejected> {
        let mut guarded = self.lock();
        let now = now();
        if self.word().state() == BreakerState::Open && now >= guarded.open_until {
            self.go_to(&mut guarded, BreakerState::HalfOpen);
        }
        let word = self.word();
        let state = word.state();
        let retry_after = match state {
            BreakerState::Closed | BreakerState::Disabled => return Ok((word, None)),
            BreakerState::Open => guarded.open_until - now,
            BreakerState::ForcedOpen => self.config.open,
            BreakerState::HalfOpen => {
                let (permits, lease) = (self.config.half_open_permits, self.config.probe_lease);
                match guarded.half_open.admit(permits, now, lease) {
                    Some(place) => return Ok((word, Some(place))),
                    None => Duration::ZERO,
                }
            }
        };
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Err(Rejected { state, retry_after })
    }

    fn is_slow(&self, since: Instant) -> bool {
        let took = now().saturating_duration_since(since);
        self.slow_after.is_some_and(|after| took > after)
    }

    #[inline]
    fn settle_good(&self, generation: u64, verdict: Verdict) {
        let next = |count| self.counting.after_good(count);
        let word = match self.count(generation, next) {
            Ok(_) => return,
            Err(word) => word,
        };
        if word.generation() != generation {
            self.late();
        } else if let (BreakerState::Closed, Counting::Time { window, .. }) =
            (word.state(), &self.counting)
        {
            window.add(generation, now(), verdict);
        }
    }

    #[cold]
    fn settle_bad(&self, generation: u64, verdict: Verdict) {
        if let Counting::Failures { most } = self.counting {
            let below = |count| (count < most - 1).then(|| count + 1);
            if self.count(generation, below).is_ok() {
                return;
            }
        }
        let mut guarded = self.lock();
        // Under the lock neither state nor generation can change any more; the count can, by good calls.
        let word = self.word();
        if word.generation() != generation {
            return self.late();
        }
        if word.state() != BreakerState::Closed {
            return;
        }
        match &self.counting {
            // A success may have come first and started the count anew: then this is the first of the new count.
            Counting::Failures { most } => {
                let below = |_: &Guarded, count| (count < most - 1).then(|| count + 1);
                self.count_or_open(&mut guarded, below);
            }
            Counting::Calls { rate, .. } => {
                let trips = |window: &CallWindow, run| window.after(run, verdict).counts.trip(rate);
                let next = |guarded: &Guarded, run| (!trips(&guarded.window, run)).then_some(0);
                if let Some(run) = self.count_or_open(&mut guarded, next) {
                    guarded.window.push(run, verdict);
                }
            }
            Counting::Time { rate, window } => {
                let now = now();
                window.add(generation, now, verdict);
                if window.counts(generation, now).trip(rate) {
                    self.go_to(&mut guarded, BreakerState::Open);
                }
            }
        }
    }

    /// Replaces the count of a closed breaker by `next` of it, and gives the count before. If `next` of it is none, opens
    /// the breaker in the very same step, so that no good call comes between what was judged and the judgement.
    fn count_or_open(
        &self,
        guarded: &mut Guarded,
        next: impl Fn(&Guarded, u32) -> Option<u32>,
    ) -> Option<u32> {
        let step = |word: Word| match next(guarded, word.count()) {
            Some(count) => word.with_count(count),
            None => word.next_generation(BreakerState::Open),
        };
        let before = self.replace(step);
        if step(before).state() == BreakerState::Closed {
            return Some(before.count());
        }
        self.entered(guarded, before, BreakerState::Open);
        None
    }

    #[cold]
    fn settle_probe(&self, generation: u64, place: Place, bad: bool) {
        let mut guarded = self.lock();
        // A place that is still held is one of this generation: each generation begins without any.
        if !guarded.half_open.give_back(place) {
            return self.late();
        }
        debug_assert_eq!(self.word().generation(), generation);
        let (permits, successes) = (
            self.config.half_open_permits,
            self.config.half_open_successes,
        );
        match guarded.half_open.count(bad, successes, permits) {
            Decision::Undecided => {}
            Decision::Close => self.go_to(&mut guarded, BreakerState::Closed),
            Decision::Open => self.go_to(&mut guarded, BreakerState::Open),
        }
    }

    #[cold]
    fn late(&self) {
        self.late_outcomes.fetch_add(1, Ordering::Relaxed);
    }

    /// Every change of state is made here or in [`count_or_open`](Self::count_or_open), under the lock.
    fn go_to(&self, guarded: &mut Guarded, to: BreakerState) {
        let before = self.replace(|word| word.next_generation(to));
        self.entered(guarded, before, to);
    }

    /// What follows from a change of state, under the lock.
    fn entered(&self, guarded: &mut Guarded, before: Word, to: BreakerState) {
        guarded.half_open.clear();
        guarded.window.clear();
        let mut open_for = None;
        match to {
            BreakerState::Closed => guarded.backoff.reset(),
            BreakerState::Open => {
                let delay = guarded.backoff.next_delay();
                guarded.open_until = now() + delay;
                open_for = Some(delay);
            }
            BreakerState::HalfOpen | BreakerState::ForcedOpen | BreakerState::Disabled => {}
        }
        let from = before.state();
        if from == to {
            return;
        }
        let event = BreakerEvent {
            from,
            to,
            generation: before.next_generation(to).generation(),
            open_for,
        };
        // An error says that nobody listens.
        let _ = self.events.send(event);
        (self.hook)(&event);
    }

    /// Acquires what was done before the generation began: a call that is admitted after a model was replaced sees the
    /// new one.
    #[inline]
    fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Replaces the count by `next` of it, unless that is none, the generation is over, or nothing is counted in this
    /// state; gives the word before, as an error if the count was not replaced.
    #[inline]
    fn count(&self, generation: u64, next: impl Fn(u32) -> Option<u32>) -> Result<Word, Word> {
        self.update(|word| {
            let counts = word.generation() == generation && word.state() == BreakerState::Closed;
            let count = next(word.count()).filter(|_| counts)?;
            Some(word.with_count(count))
        })
    }

    /// Replaces the word by `next` of it, unless that is none; gives the word before, as an error if it was not replaced.
    #[inline]
    fn update(&self, next: impl Fn(Word) -> Option<Word>) -> Result<Word, Word> {
        let next = |bits| next(Word::from_bits(bits)).map(Word::bits);
        let before = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        before.map(Word::from_bits).map_err(Word::from_bits)
    }

    /// Replaces the word by `next` of it; gives the word before.
    fn replace(&self, next: impl Fn(Word) -> Word) -> Word {
        self.update(|word| Some(next(word)))
            .unwrap_or_else(|word| word)
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        // Nothing that can panic half-way is done under the lock but the hook, and that is called last.
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
