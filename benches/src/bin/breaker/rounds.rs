//! Measures the breakers in rounds. Each round measures every breaker once.

use crate::calls::{Failures, Guard, Row};
use crate::{ours, peers};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The number of calls between two checks of the elapsed time.
const BATCH: u32 = 500;

/// The way in which a breaker counts failures. A breaker is compared with other breakers of its
/// kind, or with a bare call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bare,
    Consecutive,
    CountWindow,
    TimeWindow,
}

/// The measurements of one breaker with one thread count and one failure rate.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) ours: bool,
    pub(crate) threads: usize,
    pub(crate) failures: Failures,
    /// The processor time per call in nanoseconds, one value for each round.
    pub(crate) nanoseconds: Vec<f64>,
}

/// A breaker to measure.
struct Form {
    name: &'static str,
    kind: Kind,
    ours: bool,
    /// Measures the breaker with this number of threads and this failure rate, for this time.
    /// Returns the cost of a call in nanoseconds.
    run: Box<dyn Fn(usize, Failures, Duration) -> f64>,
}

impl Form {
    fn new<G: Guard>(name: &'static str, kind: Kind, guard: impl Fn() -> G + 'static) -> Self {
        Self {
            name,
            kind,
            ours: name.starts_with("clarity"),
            // Each run has a new breaker, so runs do not depend on each other.
            run: Box::new(move |threads, failures, time| run(&guard(), threads, failures, time)),
        }
    }

    fn all() -> Vec<Self> {
        vec![
            Self::new("bare call", Kind::Bare, || peers::Bare),
            Self::new("clarity, in a row", Kind::Consecutive, ours::consecutive),
            Self::new(
                "failsafe, in a row",
                Kind::Consecutive,
                peers::failsafe_consecutive,
            ),
            Self::new(
                "tower-resilience, in a row",
                Kind::Consecutive,
                peers::tower_consecutive,
            ),
            Self::new("clarity, calls", Kind::CountWindow, ours::count_window),
            Self::new("recloser, calls", Kind::CountWindow, peers::recloser),
            Self::new(
                "tower-resilience, calls",
                Kind::CountWindow,
                peers::tower_count_window,
            ),
            Self::new("clarity, time", Kind::TimeWindow, ours::time_window),
            Self::new(
                "failsafe, time",
                Kind::TimeWindow,
                peers::failsafe_time_window,
            ),
            Self::new(
                "tower-resilience, time",
                Kind::TimeWindow,
                peers::tower_time_window,
            ),
        ]
    }
}

/// Measures every breaker under every load in each round. Each measurement takes `milliseconds`. An
/// extra round at the start warms up and does not count.
pub(crate) fn measure(rounds: u16, milliseconds: u64) -> Vec<Series> {
    let time = Duration::from_millis(milliseconds);
    let forms = Form::all();
    let mut all = Vec::new();
    for threads in [1, 2] {
        for failures in Failures::ALL {
            all.extend(forms.iter().map(|form| Series {
                name: form.name,
                kind: form.kind,
                ours: form.ours,
                threads,
                failures,
                nanoseconds: Vec::new(),
            }));
        }
    }
    for round in 0..=rounds {
        for (series, form) in all.iter_mut().zip(forms.iter().cycle()) {
            let nanoseconds = (form.run)(series.threads, series.failures, time);
            if round > 0 {
                series.nanoseconds.push(nanoseconds);
            }
        }
    }
    all
}

/// Makes calls on `threads` threads for the duration `time`. Returns the processor time per call in
/// nanoseconds, averaged over the threads.
///
/// # Panics
///
/// When the breaker rejects a call. Only a closed breaker can be measured.
fn run(guard: &impl Guard, threads: usize, failures: Failures, time: Duration) -> f64 {
    let missing = AtomicUsize::new(threads);
    let sum: f64 = thread::scope(|scope| {
        let start = || scope.spawn(|| calls(guard, failures, time, &missing));
        let threads: Vec<_> = (0..threads).map(|_| start()).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|cost| cost.expect("no call is rejected")).sum()
    });
    sum / threads as f64
}

fn calls(guard: &impl Guard, failures: Failures, time: Duration, missing: &AtomicUsize) -> f64 {
    let mut call = guard.caller();
    let mut row = Row::new(failures);
    // Fills a count window before the measurement. The cost of a call changes until the window is
    // full.
    (0..BATCH).for_each(|_| assert!(call(black_box(false)), "a good call was rejected"));
    // Each thread spins until all threads have arrived. All threads then begin at the same time,
    // each on its own processor. Sleeping threads, which must be woken, would not begin together.
    missing.fetch_sub(1, Ordering::AcqRel);
    while missing.load(Ordering::Acquire) > 0 {
        std::hint::spin_loop();
    }
    let (began, used) = (Instant::now(), processor_time());
    let mut count = 0_u64;
    let mut made = 0_u64;
    loop {
        for _ in 0..BATCH {
            made += u64::from(call(row.next_fails()));
        }
        count += u64::from(BATCH);
        if began.elapsed() >= time {
            break;
        }
    }
    let used = processor_time() - used;
    assert_eq!(made, count, "calls were rejected");
    used.as_nanos() as f64 / count as f64
}

/// Returns the processor time that the current thread has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_breaker_stays_closed_under_every_load() {
        for form in Form::all() {
            for failures in Failures::ALL {
                let nanoseconds = (form.run)(2, failures, Duration::from_millis(1));
                assert!(nanoseconds > 0.0, "{}", form.name);
            }
        }
    }

    #[test]
    #[should_panic(expected = "no call is rejected")]
    fn run_panics_if_the_breaker_rejects() {
        struct RejectingGuard;
        impl Guard for RejectingGuard {
            fn caller(&self) -> impl FnMut(bool) -> bool {
                |_| false
            }
        }
        run(
            &RejectingGuard,
            1,
            Failures::Never,
            Duration::from_millis(1),
        );
    }
}
