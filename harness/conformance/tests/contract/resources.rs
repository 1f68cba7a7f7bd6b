//! Faults of descriptors, memory, processor and wall clock take effect and are undone.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
#[cfg(feature = "wall-clock")]
fn resource_faults_take_effect_and_are_undone() {
    let ran = suite().run(["resources::"]);
    assert_eq!(ran.records.len(), 7);
    for (name, record) in &ran.records {
        match name.as_str() {
            "resources::insists_on_memory" => assert_eq!(record.verdict, Verdict::OutOfMemory),
            "resources::hangs_meanwhile" => {
                assert_eq!(record.verdict, Verdict::TimedOut { limit_ms: 500 });
                assert_eq!(record.faults.len(), 4);
                assert_eq!(record.faults_in_effect().count(), 0, "{record:?}");
            }
            _ => {
                assert_eq!(record.verdict, Verdict::Passed, "{name}");
                assert_eq!(record.faults_in_effect().count(), 0, "{name}");
            }
        }
    }
    let jumps = &ran.records["resources::the_wall_clock_jumps"].faults;
    assert_eq!(jumps[0].description, "the wall clock set forward by 2days");
    assert_eq!(jumps[1].description, "the wall clock set back by 5days");
    let left = &ran.records["resources::descriptors_run_out"].faults[0];
    assert_eq!(left.description, "3 descriptors left");
}

#[test]
#[cfg(not(feature = "wall-clock"))]
fn wall_clock_without_its_feature_is_skipped_by_name() {
    for test in ["the_wall_clock_jumps", "hangs_meanwhile"] {
        let verdict = suite().record_of(&format!("resources::{test}")).verdict;
        let Verdict::Skipped { reason } = &verdict else {
            panic!("{test}: {verdict:?}");
        };
        assert!(reason.contains("`WallClock`"), "{reason}");
        assert!(reason.contains("features = [\"wall-clock\"]"), "{reason}");
    }
}

/// Resource faults change the whole process. With `--isolation thread`, tests share one process.
#[test]
fn resource_faults_in_a_shared_process_are_skipped() {
    for test in [
        "descriptors_run_out",
        "memory_runs_out",
        "the_processor_is_busy",
        "the_wall_clock_jumps",
    ] {
        let test = format!("resources::{test}");
        let ran = suite().run(["--isolation", "thread", "--exact", &test]);
        let verdict = &ran.records[&test].verdict;
        let Verdict::Skipped { reason } = verdict else {
            panic!("{test}: {verdict:?}");
        };
        assert!(reason.contains("--isolation thread"), "{reason}");
    }
}
