//! What faults of system calls do.

use crate::suite;
use clarity_chaos::Verdict;
use std::collections::BTreeSet;

#[test]
#[cfg(target_os = "linux")]
fn calls_fail_come_late_and_do_less_below_a_folder_while_the_fault_is_there() {
    let ran = suite().run(["calls::"]);
    assert_eq!(ran.records.len(), 10);
    for (name, record) in &ran.records {
        match name.as_str() {
            "calls::panics_meanwhile" => assert!(record.verdict.is_failure()),
            _ => assert_eq!(record.verdict, Verdict::Passed, "{name}"),
        }
        assert_eq!(record.faults_in_effect().count(), 0, "{name}");
    }
    let fault = &ran.records["calls::the_third_sync_fails"].faults[0];
    assert_eq!(
        fault.sentence,
        "number 3 of the calls to sync below the test's directory failed: Input/output error (os error 5)"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn which_call_it_is_follows_from_the_seed() {
    let drawn = |seed: &str| {
        let test = "calls::a_drawn_rename_fails";
        let ran = suite().run(["--exact", test, "--seed", seed]);
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        ran.records[test].faults[0].plan["nth"].to_string()
    };
    let seeds = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let first = seeds.map(drawn);
    assert_eq!(first, seeds.map(drawn));
    assert!(first.iter().collect::<BTreeSet<_>>().len() > 1, "{first:?}");
}
