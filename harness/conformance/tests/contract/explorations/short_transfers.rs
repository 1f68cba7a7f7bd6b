//! Explorations shorten each read and each write.

use super::passed;

#[test]
fn short_transfers_break_the_wrong_twin_alone() {
    for pair in [
        "buffer_of_a_read_at_an_offset_is_taken_as_full",
        "buffer_of_a_read_is_taken_as_full",
        "buffers_of_a_scattered_read_are_taken_as_full",
        "count_of_a_copy_is_ignored",
        "count_of_a_gathered_write_is_ignored",
        "count_of_a_sent_file_is_ignored",
        "count_of_a_write_is_ignored",
        "count_of_an_append_is_ignored",
    ] {
        passed(&format!("short_transfers::{pair}"));
    }
}

#[test]
fn call_that_cannot_be_split_is_whole() {
    passed("short_transfers::call_of_another_program_is_short");
    passed("short_transfers::call_that_cannot_be_split_is_whole");
}

#[test]
fn short_write_loses_its_unsynced_rest_with_the_power() {
    passed("short_transfers::rest_of_a_short_write_is_lost_with_the_power");
}
