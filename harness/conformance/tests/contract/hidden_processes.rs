//! Explorations and faults never pass over a process whose calls the kernel hides.

use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::RunOutput;
use clarity_chaos_conformance::limits::skip;

/// The unprivileged user `nobody`.
const NOBODY: u32 = 65534;

/// Runs the tests as this process's user. Runs them as `NOBODY` too, if this user is root.
fn runs() -> Vec<RunOutput> {
    let own = suite().run(["hidden_processes::"]);
    if !rustix::process::getuid().is_root() {
        return vec![own];
    }
    use std::os::unix::process::CommandExt as _;
    let suite = suite().for_user(NOBODY);
    let mut command = suite.command();
    command.arg("hidden_processes::").uid(NOBODY).gid(NOBODY);
    vec![own, suite.run_command(&mut command)]
}

#[test]
fn hidden_process_skips_an_exploration_and_fails_a_fault() {
    for ran in runs() {
        let mut records = ran.records.values();
        let is_privileged = records.any(|record| !record.sandbox.capabilities.enforced);
        // The kernel hides nothing from a privileged user.
        if is_privileged && rustix::process::getuid().is_root() {
            skip("without the sandbox, root keeps its capabilities");
            continue;
        }
        let verdict = |test: &str| {
            let record = ran.records.get(&format!("hidden_processes::{test}"));
            let record = record.unwrap_or_else(|| panic!("{}{}", ran.stdout, ran.stderr));
            record.verdict.clone()
        };
        let skipped = |test: &str, words: &[&str]| match verdict(test) {
            Verdict::Skipped { reason } => {
                for word in words {
                    assert!(reason.contains(word), "{test}: no {word:?} in {reason}");
                }
            }
            other => panic!("{test}: {other:?}"),
        };
        skipped(
            "explored_program_without_read_permission",
            &[
                "the kernel hides the calls of child 1 (touch)",
                "the mode 0111 of its program",
                "chmod +r",
            ],
        );
        skipped(
            "explored_operation_is_not_dumpable",
            &[
                "the kernel hides the calls of the operation's own process",
                "PR_SET_DUMPABLE",
            ],
        );
        match verdict("fault_on_a_program_without_read_permission") {
            Verdict::Failed { message } => {
                assert!(
                    message.contains("a fault could not act: calls to open below"),
                    "{message}"
                );
                assert!(
                    message.contains("the kernel hides the calls of touch"),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
        for test in [
            "explored_program_with_read_permission",
            "fault_on_other_calls_of_a_hidden_program",
            "fault_on_a_program_with_read_permission",
        ] {
            assert_eq!(verdict(test), Verdict::Passed, "{test}");
        }
    }
}
