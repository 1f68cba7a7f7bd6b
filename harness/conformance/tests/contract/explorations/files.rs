//! Explorations follow files by identity, and see which calls succeeded.

use super::{failed, passed};
use crate::suite;
use std::os::unix::process::CommandExt as _;

/// The unprivileged user `nobody`.
const NOBODY: u32 = 65534;

#[test]
fn open_files_are_followed_while_names_change() {
    for pair in [
        "directory_of_an_open_file_is_renamed",
        "opened_name_is_removed",
        "opened_name_is_replaced",
        "removed_file_is_written",
    ] {
        passed(&format!("identities::{pair}"));
    }
}

#[test]
fn files_without_a_name_are_explored() {
    for pair in [
        "file_is_named_after_its_sync",
        "file_is_named_by_its_descriptor",
        "file_stays_without_a_name",
        "name_of_a_synced_file_is_durable",
    ] {
        passed(&format!("unnamed_files::{pair}"));
    }
}

#[test]
fn calls_that_the_kernel_refuses_change_nothing() {
    for test in [
        "bytes_stay",
        "modes_are_those_of_the_kernel",
        "names_stay",
        "paths_are_resolved_as_by_the_kernel",
        "renames_stay",
    ] {
        passed(&format!("kernel_refusals::{test}"));
    }
}

#[test]
fn all_ways_to_write_are_explored() {
    passed("ways_to_write::pwritev2_with_flags");
    passed("ways_to_write::splice_into_a_file");
}

#[test]
fn changes_that_no_state_has_are_refused_by_name() {
    failed(
        "refused::with_extended_attributes",
        &["not explorable: extended attributes", "setxattr of current"],
    );
    failed(
        "refused::with_a_name_outside",
        &["a name outside of the directory", "of current"],
    );
}

#[test]
fn times_that_the_operation_sets_are_explored() {
    passed("times::cache_is_fresh_by_its_time");
}

#[test]
fn file_system_is_read_only_after_a_failed_sync_of_a_directory() {
    passed("failed_syncs::file_system_is_read_only_after_a_failed_sync");
}

/// The kernel refuses an ordinary user calls that it allows root.
#[test]
fn calls_of_an_ordinary_user_are_explored() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let suite = suite().for_user(NOBODY);
    let mut command = suite.command();
    command.uid(NOBODY).gid(NOBODY);
    command.arg("explorations::kernel_refusals::");
    let ran = suite.run_command(command.env("CHAOS_CHECK_EACH_CALL", "1"));
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.records.len() >= 6, "{}", ran.stdout);
}
