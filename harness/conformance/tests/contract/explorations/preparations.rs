//! Set-ups of explorations, in the test's process and in one of their own.

use super::{failed, passed};

#[test]
fn thread_of_a_set_up_forbids_an_exploration_only_in_the_test() {
    failed(
        "preparations::in_the_test",
        &[
            "`endless`",
            "run the set-up that starts them in `cx.prepare`",
        ],
    );
    passed("preparations::in_a_process_of_its_own");
}

#[test]
fn set_up_ends_with_its_processes_and_its_error() {
    passed("preparations::processes_of_the_set_up_are_ended");
    passed("preparations::failures_of_the_set_up_come_back");
}
