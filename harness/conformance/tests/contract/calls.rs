//! Faults of system calls take effect and are undone. The seed determines the drawn calls.

use crate::suite;
use clarity_chaos::Verdict;
use std::collections::BTreeSet;

#[test]
#[cfg(target_os = "linux")]
fn system_call_faults_affect_calls_below_their_directory() {
    let ran = suite().run(["calls::"]);
    assert_eq!(ran.records.len(), 10);
    for (name, record) in &ran.records {
        match name.as_str() {
            "calls::panics_meanwhile" => {
                let Verdict::Panicked { message, .. } = &record.verdict else {
                    panic!("{name}: {:?}", record.verdict);
                };
                assert_eq!(message, "as it must");
            }
            _ => assert_eq!(record.verdict, Verdict::Passed, "{name}"),
        }
        assert!(!record.faults.is_empty(), "{name}");
        assert_eq!(record.faults_in_effect().count(), 0, "{name}");
    }
    let fault = &ran.records["calls::the_third_sync_fails"].faults[0];
    assert_eq!(
        fault.description,
        "number 3 of the calls to sync below the test's directory failed: Input/output error (os error 5)"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn drawn_call_number_follows_from_the_seed() {
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
