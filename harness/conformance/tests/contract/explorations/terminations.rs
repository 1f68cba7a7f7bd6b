//! `SIGTERM` to children of a test never reaches the test's own handler.

use super::passed;

#[test]
fn termination_of_a_child_ends_only_this_child() {
    passed("terminations::operation_has_a_handler");
    passed("terminations::fork_has_a_handler");
    passed("terminations::children_without_a_handler_die");
    passed("terminations::children_of_the_test_die");
}
