//! The test's own resolver, and faults of lookups.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
fn resolver_answers_and_fails_as_its_faults_say() {
    let ran = suite().run(["names::", "--skip", "killed"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 7);
    let skipped =
        |record: &clarity_chaos::Record| matches!(record.verdict, Verdict::Skipped { .. });
    if ran.records.values().any(skipped) {
        clarity_chaos_conformance::limits::skip("this machine has no network and mount namespaces");
        return;
    }
    let faults = &ran.records["names::spoof"].faults;
    assert_eq!(
        faults[0].description,
        "lookups of db.example answered with 10.9.9.9"
    );
    let faults = &ran.records["names::failure"].faults;
    assert_eq!(faults[0].description, "lookups of one.example failed");
    assert_eq!(faults[1].description, "lookups of all names failed");
}

#[test]
fn resolver_of_a_dead_test_does_not_outlive_it() {
    let order = [
        "names::killed",
        "names::without_resolver",
        "names::known_names",
    ];
    let ran = suite().run(["--exact", "--test-threads", "1"].iter().chain(&order));
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    for test in &order[1..] {
        let verdict = &ran.records[*test].verdict;
        let is_good = matches!(verdict, Verdict::Passed | Verdict::Skipped { .. });
        assert!(is_good, "{test}: {verdict:?}");
    }
}

#[test]
fn resolver_outside_of_the_sandbox_is_skipped_by_name() {
    let ran = suite().run(["--exact", "names::spoof", "--sandbox", "none"]);
    let verdict = &ran.records["names::spoof"].verdict;
    let Verdict::Skipped { reason } = verdict else {
        panic!("{verdict:?}");
    };
    assert!(reason.contains("namespaces"), "{reason}");
}
