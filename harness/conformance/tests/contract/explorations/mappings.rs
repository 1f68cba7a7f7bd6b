//! Explorations of programs that change files through shared mappings.

use super::passed;

#[test]
fn mapping_that_is_only_read_is_explored() {
    passed("mappings::followed::mapping_that_is_only_read");
}

// Writable mappings are followed on x86-64 alone.
#[cfg(target_arch = "x86_64")]
#[test]
fn stores_through_a_mapping_are_explored() {
    for test in [
        "failed_sync_of_a_mapping",
        "mapped_counter",
        "mapped_log",
        "mapping_that_is_protected_for_a_while",
        "page_that_is_changed_twice",
        "page_that_is_mapped_and_written",
        "stores_to_one_page",
        "word_across_the_border_of_two_pages",
    ] {
        passed(&format!("mappings::followed::{test}"));
    }
    passed("mappings::concurrent::mappings_of_processes_one_after_another");
    passed("mappings::concurrent::threads_with_one_mapping");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn stores_are_followed_by_the_identity_of_the_file() {
    for test in [
        "mapped_file_that_is_renamed",
        "mapped_file_without_a_name",
        "process_that_dies_beside_a_mapping",
        "recovery_through_a_mapping",
    ] {
        passed(&format!("mappings::identities::{test}"));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn mapping_that_cannot_be_followed_is_refused_by_name() {
    for test in [
        "mapping_at_a_fixed_address",
        "mapping_beside_a_handler",
        "mapping_into_which_a_call_reads",
        "mapping_of_a_forked_process",
        "mapping_of_a_thread_that_blocks_signals",
        "mapping_of_another_program",
        "mapping_that_becomes_writable",
        "mapping_that_moves",
        "mapping_whose_bytes_are_removed",
        "store_of_a_thread_that_blocks_signals",
    ] {
        passed(&format!("mappings::refused::{test}"));
    }
}

#[test]
fn volatile_files_have_any_content_after_a_loss_of_power() {
    for test in [
        "index_at_a_fixed_address",
        "index_that_is_rebuilt",
        "index_that_is_trusted",
        "robust_mutex",
    ] {
        passed(&format!("mappings::volatile::{test}"));
    }
}
