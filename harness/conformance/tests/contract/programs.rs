//! Programs that tests start.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
fn programs_are_read_awaited_paused_and_killed() {
    let ran = suite().run(["programs::"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 7);
    for record in ran.records.values() {
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.faults_in_effect().count(), 0);
    }
    let printed = &ran.records["programs::prints_and_ends"].output.text;
    assert!(printed.contains("shell: one\nshell: two\n"), "{printed}");
    let killed = &ran.records["programs::is_killed"].faults[0];
    assert_eq!(killed.description, "process shell killed");
}
