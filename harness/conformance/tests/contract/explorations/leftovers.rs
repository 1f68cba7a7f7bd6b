//! Explorations whose checks leave processes behind.

use super::passed;

#[test]
fn directory_in_use_by_a_process_of_a_check_is_written_anew() {
    passed("leftovers::child_in_a_session_of_its_own");
    passed("leftovers::orphan_of_a_shell");
    passed("leftovers::child_without_an_exit_signal");
}
