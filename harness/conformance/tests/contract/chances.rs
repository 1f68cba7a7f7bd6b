//! `--check-determinism` reports whether a test does the same in two runs.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
fn nondeterminism_is_reported_with_both_values() {
    for test in ["chances::order", "chances::clock", "chances::unseeded"] {
        assert_eq!(suite().verdict_of(test), Verdict::Passed);
        let ran = suite().run(["--exact", test, "--check-determinism"]);
        assert_eq!(ran.code, Some(101), "{}", ran.stderr);
        let Verdict::Nondeterministic { difference } = &ran.records[test].verdict else {
            panic!("{:?}", ran.records[test].verdict);
        };
        let start = format!("event 1 of thread '{test}' differs; first run: ");
        assert!(difference.starts_with(&start), "{difference}");
        let (first, then) = difference.split_once("; second run: ").unwrap();
        assert!(
            first.contains("note") && then.contains("note"),
            "{difference}"
        );
    }
}

/// The second run delays the first thread, so the second thread wins.
//
// On a busy machine, the second thread can win in the first run, too. The two runs then agree, so
// the check is repeated.
#[test]
#[cfg(target_os = "linux")]
fn race_of_two_threads_is_reported_with_both_winners() {
    let test = "chances::race";
    assert_eq!(suite().verdict_of(test), Verdict::Passed);
    let attempt = |_| suite().run(["--exact", test, "--check-determinism"]);
    let mut attempts = (0..5).map(attempt);
    let found = attempts.find(|ran| ran.code == Some(101));
    let ran = found.expect("one check in five finds the race");
    let Verdict::Nondeterministic { difference } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    let (first, then) = difference.split_once("; second run: ").unwrap();
    assert!(first.contains("the first"), "{difference}");
    assert!(then.contains("the second"), "{difference}");
}

#[test]
fn sweep_checks_determinism_of_each_case() {
    for test in ["chances::none", "chances::joined"] {
        let sweep = ["--exact", test, "--seeds", "0..20"];
        let ran = suite().run(sweep.into_iter().chain(["--check-determinism"]));
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    }
    let test = "chances::unseeded";
    let sweep = ["--exact", test, "--seeds", "0..2", "--check-determinism"];
    let ran = suite().run(sweep);
    assert_eq!(ran.code, Some(101), "{}{}", ran.stdout, ran.stderr);
    let verdict = &ran.records[test].verdict;
    assert!(
        matches!(verdict, Verdict::Nondeterministic { .. }),
        "{verdict:?}"
    );
}
