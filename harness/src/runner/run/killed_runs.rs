//! Prints what killed runs have left, before a run begins.

use crate::journal::Recovery;
use crate::runner::standard_streams::print_error;

/// Prints a warning for each fault and each set-up that killed runs have left.
pub(super) fn warn_of_killed_runs(recovery: &Recovery) {
    for fault in &recovery.undone {
        print_error(format_args!(
            "warning: a killed run left a fault in effect, which is undone now: {fault}"
        ));
    }
    for fault in &recovery.kept {
        print_error(format_args!(
            "warning: a killed run left a fault in effect: {fault}"
        ));
    }
    for line in &recovery.setups {
        print_error(format_args!("warning: a killed run had a set-up: {line}"));
    }
}
