//! Sweeps over many seeds, whole and in shards.

use crate::suite;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;

const RARE: &str = "sweeps::rarely_fails";
const NEVER: &str = "sweeps::never_fails";

/// Returns the root seeds in the suite's regressions file.
fn failing(suite: &Suite) -> Vec<String> {
    let text = fs::read_to_string(suite.regressions()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
        .collect()
}

fn line<'a>(ran: &'a RunOutput, start: &str) -> &'a str {
    let mut lines = ran.stdout.lines();
    lines
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("{}\n{}", ran.stdout, ran.stderr))
}

#[test]
fn sweep_runs_each_seed_and_keeps_the_failing_ones() {
    let suite = suite();
    let ran = suite.run(["--exact", RARE, NEVER, "--seeds", "0..150"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let never = line(&ran, "test sweeps::never_fails ...");
    assert!(never.ends_with("ok (150 cases)"), "{never}");
    let rare = line(&ran, "test sweeps::rarely_fails ... FAILED");
    assert!(rare.contains(" of 150 cases; seeds "), "{rare}");
    // The regressions file has the printed seeds. The first of these seeds also fails in a run of
    // its own.
    let kept = failing(&suite);
    assert!(!kept.is_empty() && kept.len() <= 3, "{kept:?}");
    assert!(rare.contains(&kept.join(", ")), "{rare}, {kept:?}");
    assert_eq!(ran.records[RARE].root_seed.to_string(), kept[0]);
    let again = suite.run(["--exact", RARE, "--seed", &kept[0]]);
    assert_eq!(again.code, Some(101));
}

#[test]
fn failed_seeds_run_first_in_later_runs() {
    let suite = suite();
    suite.run(["--exact", RARE, "--seeds", "0..300", "--max-failures", "1"]);
    let kept = failing(&suite);
    assert!(!kept.is_empty());
    // The runs `plain` and `sweep` must fail because of the kept seed. `plain` draws a seed, and 49
    // seeds in 50 pass. `sweep` uses the passing seed `good`.
    let good = (1000..1010).find(|seed| {
        let seed = seed.to_string();
        suite.run(["--exact", RARE, "--seed", &seed]).code == Some(0)
    });
    let good = good.unwrap();
    let plain = suite.run(["--exact", RARE]);
    assert_eq!(plain.code, Some(101));
    assert_eq!(plain.records[RARE].root_seed.to_string(), kept[0]);
    let before = fs::read(suite.regressions()).unwrap();
    let range = format!("{good}..{}", good + 1);
    let sweep = suite.run(["--exact", RARE, "--seeds", &range]);
    assert_eq!(sweep.code, Some(101), "{}", sweep.stdout);
    assert_eq!(fs::read(suite.regressions()).unwrap(), before);
}

#[test]
fn sweep_stops_after_max_failures() {
    let threads = ["--test-threads", "1", "--max-failures", "2"];
    let sweep = ["--exact", RARE, "--seeds", "0..1000000000"];
    let ran = suite().run(sweep.iter().chain(&threads));
    assert_eq!(ran.code, Some(101));
    let rare = line(&ran, "test sweeps::rarely_fails ... FAILED");
    assert!(rare.contains("FAILED (2 of "), "{rare}");
    let sum = line(&ran, "sweep result: FAILED.");
    assert!(sum.ends_with("stopped early: --max-failures 2"), "{sum}");
}

#[test]
fn merged_shards_equal_the_whole_sweep() {
    let seeds = ["--exact", RARE, NEVER, "--seeds", "0..150"];
    let whole = suite();
    let expected = whole.run(seeds);
    let merged = suite();
    let directory = tempfile::tempdir().unwrap();
    let file = |shard: u64| directory.path().join(format!("{shard}.json"));
    for shard in 1..=3 {
        let (name, file) = (format!("{shard}/3"), file(shard));
        let more = ["--shard", &name, "--results", file.to_str().unwrap()];
        let ran = suite().run(seeds.iter().copied().chain(more));
        assert!(matches!(ran.code, Some(0 | 101)), "{}", ran.stderr);
        assert!(!ran.stdout.contains("ok (150 cases)"), "{}", ran.stdout);
    }
    let two = merged.run(["--merge".into(), file(1), file(3)]);
    assert_eq!(two.code, Some(2));
    assert!(two.stderr.contains("missing: shard 2/3"), "{}", two.stderr);
    let ran = merged.run(["--merge".into(), file(1), file(2), file(3)]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    for test in [
        "test sweeps::rarely_fails ... FAILED",
        "test sweeps::never_fails",
    ] {
        assert_eq!(line(&ran, test), line(&expected, test));
    }
    assert_eq!(failing(&merged), failing(&whole));
}

#[test]
fn shards_of_a_single_run_have_each_test_once() {
    let ran = |shard: &str| {
        let suite = suite();
        let ran = suite.run(["tags", "sweeps::never", "--shard", shard]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.records.into_keys().collect::<Vec<_>>()
    };
    let mut all: Vec<_> = ["1/3", "2/3", "3/3"].into_iter().flat_map(ran).collect();
    all.sort();
    let expected = ["breaker", "breaker_and_slow", "model", "slow"];
    let mut expected: Vec<_> = expected
        .iter()
        .map(|test| format!("tags::{test}"))
        .collect();
    expected.insert(0, NEVER.to_owned());
    assert_eq!(all, expected);
}

#[test]
fn sweep_with_drawn_seeds_prints_the_range_to_repeat() {
    let ran = suite().run(["--exact", NEVER, "--seeds", "5"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let header = line(&ran, "chaos: 1 of");
    let seeds = header.split("(again: --seeds ").nth(1).unwrap();
    let seeds = seeds.split(')').next().unwrap();
    let (first, end) = seeds.split_once("..").unwrap();
    let range = first.parse::<u64>().unwrap()..end.parse::<u64>().unwrap();
    assert_eq!(range.end - range.start, 5, "{seeds}");
    let ran_seed: u64 = ran.records[NEVER].root_seed.to_string().parse().unwrap();
    assert!(range.contains(&ran_seed), "{ran_seed} is not in {seeds}");
    let again = suite().run(["--exact", NEVER, "--seeds", seeds]);
    assert!(line(&again, "sweep result: ok.").contains("5 cases passed"));
}

#[test]
fn seed_that_does_not_repeat_its_failure_is_not_kept() {
    const TEST: &str = "sweeps::fails_in_the_first_run";
    for seeds in [["--seeds", "0..3"], ["--seed", "7"]] {
        let suite = suite();
        let ran = suite.run(
            ["--exact", TEST]
                .iter()
                .chain(&seeds)
                .chain(&["--sandbox", "none"]),
        );
        assert_eq!(ran.code, Some(101), "{}", ran.stdout);
        assert!(failing(&suite).is_empty());
        let hint = line(&ran, "    a second run with the same seed did not fail");
        assert!(hint.contains("(passed): it may depend on"), "{hint}");
        let summary = ran.stdout.split("\nfailures:\n").nth(1).unwrap();
        let unrepeated = "        a second run with this seed did not fail in the same way";
        assert!(summary.contains(unrepeated), "{summary}");
        let record = &ran.records[TEST];
        assert!(record.unrepeated.is_some(), "{record:?}");
    }
}

/// Sweeps only ten seeds around the failing seed 3831. A sweep of 20,000 seeds would take too long.
#[test]
fn bug_of_one_seed_in_5000_is_found_kept_and_minimized() {
    const TEST: &str = "sweeps::one_byte_in_5000_matters";
    let suite = suite();
    let found = suite.run(["--exact", TEST, "--seeds", "3825..3835", "--minimize"]);
    assert_eq!(found.code, Some(101), "{}", found.stdout);
    let sum = line(&found, "sweep result: FAILED.");
    assert!(sum.contains("9 cases passed; 1 failed"), "{sum}");
    let kept = fs::read_to_string(suite.regressions()).unwrap();
    assert!(kept.contains(&format!("{TEST} 3831")), "{kept}");
    let again = suite.run(["--exact", TEST, "--seed", "3831", "--minimize"]);
    for ran in [found, again] {
        assert!(ran.stdout.contains("--seed 3831"), "{}", ran.stdout);
        let cause = line(&ran, "    fails with 1 of 14 faults: ");
        assert!(cause.contains("of byte 1234 of model flipped"), "{cause}");
    }
}
