//! `--stress`: a sweep by a number of runs, or by a duration.

use crate::suite;
use clarity_chaos_conformance::RunOutput;

const NEVER: &str = "sweeps::never_fails";
const RARE: &str = "sweeps::rarely_fails";

fn line<'a>(ran: &'a RunOutput, start: &str) -> &'a str {
    let mut lines = ran.stdout.lines();
    lines
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("{}\n{}", ran.stdout, ran.stderr))
}

/// Returns the first number after `before` in `text`.
fn number(text: &str, before: &str) -> u64 {
    let after = text
        .split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("{before}: {text}"));
    let digits = after.split(|c: char| !c.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn stress_with_a_number_is_a_sweep_of_that_many_seeds() {
    let stress = suite().run(["--exact", NEVER, RARE, "--stress", "60", "--seed", "5"]);
    let sweep = suite().run(["--exact", NEVER, RARE, "--seeds", "5..65"]);
    assert_eq!(stress.code, sweep.code, "{}", stress.stderr);
    for test in ["test sweeps::never", "test sweeps::rarely"] {
        assert_eq!(line(&stress, test), line(&sweep, test));
    }
    assert!(line(&stress, "sweep result").contains("; seeds 5..65;"));
}

#[test]
fn stress_with_a_duration_runs_each_test_with_the_same_seeds() {
    for threads in ["1", "4"] {
        let suite = suite();
        let arguments = [
            "--exact",
            NEVER,
            "tags::slow",
            "--stress",
            "300ms",
            "--seed",
            "5",
        ];
        let ran = suite.run(arguments.iter().chain(&["--test-threads", threads]));
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        assert!(
            line(&ran, "chaos: ").contains("for 300ms"),
            "{}",
            ran.stdout
        );
        let sum = line(&ran, "sweep result: ok.");
        let seeds = number(sum, "; seeds 5..") - 5;
        assert!(seeds >= 1, "{sum}");
        assert!(!sum.contains("stopped early"), "{sum}");
        for test in ["test sweeps::never_fails", "test tags::slow"] {
            assert_eq!(number(line(&ran, test), "ok ("), seeds, "{}", ran.stdout);
        }
    }
    // One seed at least, however short the duration is.
    let ran = suite().run(["--exact", NEVER, "tags::slow", "--stress", "1ns"]);
    assert!(line(&ran, "sweep result: ok.").contains("2 cases passed"));
}

#[test]
fn stress_with_a_duration_stops_after_max_failures() {
    let arguments = [
        "--exact",
        "endings::fails",
        "--stress",
        "1h",
        "--max-failures",
        "2",
    ];
    let ran = suite().run(arguments.iter().chain(&["--test-threads", "1"]));
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let sum = line(&ran, "sweep result: FAILED.");
    assert!(sum.ends_with("stopped early: --max-failures 2"), "{sum}");
}

#[test]
fn stress_refuses_values_and_options_that_do_not_fit() {
    for (arguments, words) in [
        (&["--stress", "0"][..], "found 0"),
        (&["--stress", "0s"], "above zero"),
        (
            &["--stress", "soon"],
            "such as 1000, or a duration such as 10m",
        ),
        (
            &["--stress", "9", "--seeds", "9"],
            "--stress: expected no --seeds",
        ),
        (
            &["--stress", "9", "--format", "json"],
            "--stress: expected no --format json",
        ),
        (
            &["--stress", "9s", "--shard", "1/2", "--seed", "1"],
            "--stress DURATION: expected no --shard",
        ),
    ] {
        let ran = suite().run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}
