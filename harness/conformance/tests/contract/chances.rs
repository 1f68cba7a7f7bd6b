//! Whether a test goes the same way twice.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
fn what_does_not_follow_from_the_seed_is_named_with_both_values() {
    for test in ["chances::order", "chances::clock", "chances::unseeded"] {
        assert_eq!(suite().verdict_of(test), Verdict::Passed);
        let ran = suite().run(["--exact", test, "--check-determinism"]);
        assert_eq!(ran.code, Some(101), "{}", ran.stderr);
        let Verdict::Nondeterministic { what } = &ran.records[test].verdict else {
            panic!("{:?}", ran.records[test].verdict);
        };
        let start = format!("event 1 of thread '{test}' was at first: ");
        assert!(what.starts_with(&start), "{what}");
        let (first, then) = what.split_once("; and then: ").unwrap();
        assert!(first.contains("note") && then.contains("note"), "{what}");
    }
}

/// The second run holds the first thread up.
#[test]
#[cfg(target_os = "linux")]
fn a_race_of_two_threads_is_named_with_both_winners() {
    let test = "chances::race";
    assert_eq!(suite().verdict_of(test), Verdict::Passed);
    let ran = suite().run(["--exact", test, "--check-determinism"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let Verdict::Nondeterministic { what } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    let (first, then) = what.split_once("; and then: ").unwrap();
    assert!(first.contains("the first"), "{what}");
    assert!(then.contains("the second"), "{what}");
}

#[test]
fn what_follows_from_the_seed_passes_over_a_sweep() {
    for test in ["chances::none", "chances::joined"] {
        let sweep = ["--exact", test, "--seeds", "0..20"];
        let ran = suite().run(sweep.into_iter().chain(["--check-determinism"]));
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    }
}
