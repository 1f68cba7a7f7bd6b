//! Breakers of other libraries, with the settings nearest to ours. Also a guard without a breaker.

use crate::calls::{Guard, WINDOW, WINDOW_CALLS, call};
use failsafe::{backoff, failure_policy};
use recloser::Recloser;
use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{Layer, Service, service_fn};
use tower_resilience_circuitbreaker::{
    CircuitBreakerConfigBuilder, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier,
    SlidingWindowType,
};

/// The time that a breaker stays open.
const OPEN: Duration = Duration::from_secs(60);

/// A guard without a breaker.
pub(crate) struct Bare;

impl Guard for Bare {
    fn caller(&self) -> impl FnMut(bool) -> bool {
        |fails| call(fails).is_ok() != fails
    }
}

/// Creates a breaker of recloser with a count window.
pub(crate) fn recloser() -> impl Guard {
    struct ReclosingGuard(Recloser);
    impl Guard for ReclosingGuard {
        fn caller(&self) -> impl FnMut(bool) -> bool {
            |fails| !matches!(self.0.call(|| call(fails)), Err(recloser::Error::Rejected))
        }
    }
    let breaker = Recloser::custom()
        .error_rate(0.5)
        .closed_len(WINDOW_CALLS as usize)
        .open_wait(OPEN);
    ReclosingGuard(breaker.build())
}

/// Creates a breaker of failsafe that counts failures in a row.
pub(crate) fn failsafe_consecutive() -> impl Guard {
    let policy = failure_policy::consecutive_failures(5, backoff::constant(OPEN));
    FailsafeGuard(failsafe::Config::new().failure_policy(policy).build())
}

/// Creates a breaker of failsafe with a moving average over a time window.
pub(crate) fn failsafe_time_window() -> impl Guard {
    let policy =
        failure_policy::success_rate_over_time_window(0.5, 20, WINDOW, backoff::constant(OPEN));
    FailsafeGuard(failsafe::Config::new().failure_policy(policy).build())
}

struct FailsafeGuard<T>(T);

impl<T: failsafe::CircuitBreaker + Send + Sync> Guard for FailsafeGuard<T> {
    fn caller(&self) -> impl FnMut(bool) -> bool {
        |fails| !matches!(self.0.call(|| call(fails)), Err(failsafe::Error::Rejected))
    }
}

/// Creates a breaker of tower-resilience that counts failures in a row.
pub(crate) fn tower_consecutive() -> impl Guard {
    tower(CircuitBreakerLayer::builder().consecutive_failures(5))
}

/// Creates a breaker of tower-resilience with a count window.
pub(crate) fn tower_count_window() -> impl Guard {
    tower(CircuitBreakerLayer::builder().sliding_window_size(WINDOW_CALLS as usize))
}

/// Creates a breaker of tower-resilience with a time window.
pub(crate) fn tower_time_window() -> impl Guard {
    let builder = CircuitBreakerLayer::builder()
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(WINDOW);
    tower(builder)
}

fn tower(builder: CircuitBreakerConfigBuilder<DefaultClassifier>) -> impl Guard {
    let layer = builder
        .wait_duration_in_open(OPEN)
        .build()
        .expect("the settings are within their bounds");
    TowerGuard(layer.layer(service_fn(|fails| ready(call(fails)))))
}

struct TowerGuard<S>(S);

impl<S> Guard for TowerGuard<S>
where
    S: Service<bool, Response = u32, Error = CircuitBreakerError<u32>> + Clone + Send + Sync,
{
    fn caller(&self) -> impl FnMut(bool) -> bool {
        let mut service = self.0.clone();
        // The futures are polled until ready, without an async runtime: this costs the least.
        let mut context = Context::from_waker(Waker::noop());
        move |fails| {
            let mut spins = 0_u32;
            while service.poll_ready(&mut context).is_pending() {
                spin(&mut spins);
            }
            let mut call = pin!(service.call(fails));
            loop {
                match call.as_mut().poll(&mut context) {
                    Poll::Ready(outcome) => {
                        return !matches!(outcome, Err(CircuitBreakerError::OpenCircuit));
                    }
                    Poll::Pending => spin(&mut spins),
                }
            }
        }
    }
}

/// Waits briefly for another thread to release the service. Every 64th call yields the processor.
fn spin(spins: &mut u32) {
    *spins += 1;
    match spins.is_multiple_of(64) {
        true => std::thread::yield_now(),
        false => std::hint::spin_loop(),
    }
}
