//! Explorations find the calls of one run again in other runs.

use super::{failed, passed};

#[test]
fn calls_in_another_order_are_found_again() {
    passed("call_identity::files_are_written_in_the_order_of_a_map");
    passed("call_identity::deaths_are_explored_in_the_order_of_a_map");
}

#[test]
fn names_drawn_beside_a_second_thread_are_compared() {
    passed("call_identity::names_are_drawn_beside_a_second_thread");
    passed("call_identity::deaths_are_explored_with_drawn_names");
}

#[test]
fn call_of_a_diverging_operation_is_never_another_one() {
    failed(
        "call_identity::length_differs_each_time",
        &[
            "write of 5 bytes at 0 of file",
            "did not come again in 10 runs",
            "the last one made this instead: write of 1",
            "make the operation repeatable",
        ],
    );
    failed(
        "call_identity::order_of_equal_calls_differs",
        &[
            "of log with O_CREAT did not come again",
            "came after other calls",
        ],
    );
    passed("call_identity::place_is_that_of_the_named_call");
}
