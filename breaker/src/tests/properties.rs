//! Compares the breaker with the reference after each step of random histories.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::reference::{CallEnd, ReferenceBreaker};
use super::{panics, *};
use crate::{Permit, SlowCalls};

#[derive(Clone, Debug)]
enum Step {
    Admit,
    /// Ends the call at this index in the list of calls under way.
    End(usize, CallEnd),
    /// Makes this number of calls, each of which succeeds at once.
    Succeed(usize),
    Advance(Duration),
    Reset,
    ForceOpen,
    Disable,
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        60 => Just(CallEnd::Failure),
        40 => Just(CallEnd::Success),
        40 => any::<bool>().prop_map(CallEnd::Suspected),
        20 => any::<bool>().prop_map(CallEnd::TriedFailure),
        20 => Just(CallEnd::Cancelled),
        1 => Just(CallEnd::Panicked),
    ];
    let seconds = (1..80_u64).prop_map(Duration::from_secs);
    let milliseconds = (1..3000_u64).prop_map(Duration::from_millis);
    prop_oneof![
        240 => Just(Step::Admit),
        240 => (0..8_usize, end).prop_map(|(index, end)| Step::End(index, end)),
        40 => (1..12_usize).prop_map(Step::Succeed),
        40 => seconds.prop_map(Step::Advance),
        80 => milliseconds.prop_map(Step::Advance),
        10 => Just(Step::Reset),
        3 => Just(Step::ForceOpen),
        3 => Just(Step::Disable),
        12 => Just(Step::Release),
    ]
}

fn trip() -> impl Strategy<Value = BreakerTrip> {
    let window = prop_oneof![
        (1..25_u32).prop_map(BreakerWindow::Calls),
        (1..40_u64).prop_map(|seconds| BreakerWindow::Time(Duration::from_secs(seconds))),
    ];
    let slow_calls =
        proptest::option::of((0..4_u64, 1..=100_u32).prop_map(|(seconds, percent)| {
            let longer_than = Duration::from_secs(seconds);
            SlowCalls {
                longer_than,
                percent,
            }
        }));
    let rate = (window, 1..12_u32, 1..=100_u32, slow_calls).prop_map(
        |(window, minimum_calls, failure_percent, slow_calls)| BreakerRate {
            window,
            minimum_calls: match window {
                BreakerWindow::Calls(calls) => minimum_calls.min(calls),
                BreakerWindow::Time(_) => minimum_calls,
            },
            failure_percent,
            slow_calls,
        },
    );
    prop_oneof![
        1 => (1..4_u32).prop_map(BreakerTrip::ConsecutiveFailures),
        3 => rate.prop_map(BreakerTrip::Rate),
    ]
}

fn config() -> impl Strategy<Value = BreakerConfig> {
    let probes = (1..5_usize).prop_flat_map(|permits| (Just(permits), 1..=permits));
    let times = (0..90_u64, 0..300_u64);
    (trip(), probes, times).prop_map(|(trip, (permits, successes), (open, open_most))| {
        let config = BreakerConfig {
            trip,
            open: Duration::from_secs(open),
            open_most: Duration::from_secs(open_most),
            half_open_permits: permits,
            half_open_successes: successes,
            probe_lease: Duration::from_secs(30),
            ..BreakerConfig::default()
        };
        assert_eq!(config.check(), Ok(()));
        config
    })
}

/// A call that is under way in both breakers.
struct PendingCall<'a> {
    number: usize,
    began: Duration,
    permit: Permit<'a>,
}

impl PendingCall<'_> {
    fn end(self, end: CallEnd) {
        match end {
            CallEnd::Success => self.permit.success(),
            CallEnd::Failure => self.permit.failure(),
            CallEnd::Suspected(pardoned) => match (self.permit.suspect(), pardoned) {
                (Ok(()), _) => {}
                (Err(permit), false) => permit.failure(),
                (Err(permit), true) => {
                    permit.pardon();
                    permit.cancel();
                }
            },
            CallEnd::TriedFailure(pardoned) => {
                if let Err(permit) = self.permit.try_failure() {
                    if pardoned {
                        permit.pardon();
                    }
                    permit.failure();
                }
            }
            CallEnd::Cancelled => self.permit.cancel(),
            CallEnd::Panicked => {
                let permit = self.permit;
                // Skips the panic hook, which would print thousands of messages.
                assert!(panics(move || {
                    let _permit = permit;
                    std::panic::resume_unwind(Box::new("the call panicked"))
                }));
            }
        }
    }
}

fn compare(config: &BreakerConfig, steps: &[Step]) {
    let start = Instant::now();
    let (breaker, changes) = breaker(config.clone());
    let mut reference = ReferenceBreaker::new(config);
    let mut under_way: Vec<PendingCall<'_>> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let now = start.elapsed();
        let admit = |reference: &mut ReferenceBreaker| match (
            breaker.admit(),
            reference.admit(number, now),
        ) {
            (Ok(permit), Ok(())) => Some(PendingCall {
                number,
                began: now,
                permit,
            }),
            (Err(rejected), Err(retry_after)) => {
                assert_eq!(rejected.retry_after, retry_after);
                None
            }
            (real, reference) => panic!("step {number}: {real:?}, reference {reference:?}"),
        };
        let end_call = |reference: &mut ReferenceBreaker, call: PendingCall<'_>, end: CallEnd| {
            reference.record(call.number, end, now - call.began, now);
            call.end(end);
        };
        match *step {
            Step::Admit => under_way.extend(admit(&mut reference)),
            Step::End(index, end) if !under_way.is_empty() => {
                let call = under_way.remove(index % under_way.len());
                end_call(&mut reference, call, end);
            }
            Step::End(..) => {}
            Step::Succeed(times) => {
                for _ in 0..times {
                    if let Some(call) = admit(&mut reference) {
                        end_call(&mut reference, call, CallEnd::Success);
                    }
                }
            }
            Step::Advance(time) => block_on(tokio::time::advance(time)),
            Step::Reset => {
                breaker.reset();
                match reference.state {
                    forced @ (BreakerState::ForcedOpen | BreakerState::Disabled) => {
                        reference.transition(forced);
                    }
                    _ => reference.transition(BreakerState::Closed),
                }
            }
            Step::ForceOpen => {
                breaker.force_open();
                reference.transition(BreakerState::ForcedOpen);
            }
            Step::Disable => {
                breaker.disable();
                reference.transition(BreakerState::Disabled);
            }
            Step::Release => {
                breaker.release();
                if matches!(
                    reference.state,
                    BreakerState::ForcedOpen | BreakerState::Disabled
                ) {
                    reference.transition(BreakerState::Closed);
                }
            }
        }
        agree(&breaker, &reference, start.elapsed(), number);
        assert_eq!(
            *changes.lock().unwrap(),
            reference.changes,
            "after step {number}"
        );
    }
}

fn agree(breaker: &Breaker, reference: &ReferenceBreaker, now: Duration, number: usize) {
    let snapshot = breaker.snapshot();
    let closed = reference.state == BreakerState::Closed;
    let (failures, window) = match &reference.config.trip {
        BreakerTrip::ConsecutiveFailures(_) => (reference.failures(false), None),
        BreakerTrip::Rate(rate) => (0, closed.then(|| reference.window(rate, now, false))),
    };
    assert_eq!(snapshot.state, reference.state, "after step {number}");
    assert_eq!(
        snapshot.consecutive_failures, failures,
        "after step {number}"
    );
    assert_eq!(snapshot.window, window, "after step {number}");
    assert_eq!(
        snapshot.late_outcomes, reference.late,
        "after step {number}"
    );
    assert_eq!(snapshot.rejected, reference.rejected, "after step {number}");
}

/// Polls a future until it is ready, on the paused clock.
fn block_on(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while future.as_mut().poll(&mut context).is_pending() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn breaker_agrees_with_the_reference(config in config(), steps in prop::collection::vec(step(), 1..500)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async { compare(&config, &steps) });
    }
}
