//! Suspected failures that race verdicts and other calls.

use super::*;

/// Reports a suspected failure. If the breaker refuses it, the calls are found to be at fault.
fn suspect_and_pardon(breaker: &'static Breaker) {
    if let Ok(permit) = breaker.admit()
        && let Err(permit) = permit.suspect()
    {
        permit.pardon();
        permit.cancel();
    }
}

#[test]
fn suspected_failures_alone_never_open() {
    for config in [
        failures(2),
        rate(BreakerWindow::Calls(2), 2),
        rate(AN_HOUR, 2),
    ] {
        explore(move || {
            let scenario = Scenario::new(config.clone());
            scenario.run([suspect_and_pardon, suspect_and_pardon, suspect_and_pardon]);
            assert_eq!(scenario.changes(), []);
        });
    }
}

/// A pardon races a certain failure, which must stay counted.
#[test]
fn pardon_keeps_a_concurrent_certain_failure() {
    explore(|| {
        let scenario = Scenario::new(failures(2));
        scenario.breaker.admit().unwrap().suspect().unwrap();
        scenario.run([suspect_and_pardon, |breaker| {
            let mut permit = breaker.admit().unwrap();
            while let Err(refused) = permit.try_failure() {
                refused.pardon();
                permit = refused;
            }
        }]);
        let snapshot = scenario.breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.consecutive_failures), (Closed, 1));
    });
}

/// A success races a pardon and a new run of failures. The pardon must not take a failure of the
/// new run for a suspected one.
#[test]
fn pardon_that_races_a_success_keeps_the_new_run() {
    explore(|| {
        let scenario = Scenario::new(failures(5));
        scenario.breaker.admit().unwrap().suspect().unwrap();
        scenario.run([
            |breaker| {
                succeed(breaker);
                fail(breaker);
            },
            |breaker| breaker.admit().unwrap().pardon(),
        ]);
        assert_eq!(scenario.breaker.snapshot().consecutive_failures, 1);
    });
}
