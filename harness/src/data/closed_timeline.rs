//! The signs by which a test's process says that the test has closed the harness's descriptors.
//!
//! Such a process cannot record events any more. It prints [`NOTICE`] to the test's output. At the
//! end it prints [`END`] with the test's own failure, and exits with [`EXIT_CODE`].

/// The exit code of a test's process whose timeline was closed.
pub(crate) const EXIT_CODE: i32 = 102;

/// The line that the process prints when it finds the timeline closed.
pub(crate) const NOTICE: &str = "clarity-chaos: the test has closed the descriptor of its timeline";

/// The start of the text that describes the test's own failure. The text ends with the output.
pub(crate) const END: &str = "clarity-chaos: apart from that, the test ";

/// Returns the message of the test's verdict. Returns `None` if the output lacks [`NOTICE`].
/// `output_end` is the last part of the output.
pub(crate) fn message(output_end: &str) -> Option<String> {
    let is_notice = |line: &str| line.ends_with(NOTICE);
    output_end.lines().find(|line| is_notice(line))?;
    let own = output_end
        .split_once(END)
        .map_or(String::new(), |(_, own)| {
            format!("; apart from that, it {}", own.trim_end())
        });
    Some(format!(
        "the test closed descriptors of the harness, as `close_range(3, …)` does, so the harness \
         lost its events and its result: close only descriptors that the test has opened{own}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_needs_the_notice_and_has_the_own_failure() {
        assert_eq!(message("some output\n"), None);
        let closed = message(&format!("no end{NOTICE}\n")).unwrap();
        assert!(closed.ends_with("that the test has opened"), "{closed}");
        let failed = message(&format!("{NOTICE}\n{END}failed: why\n  or not\n")).unwrap();
        assert!(
            failed.ends_with("apart from that, it failed: why\n  or not"),
            "{failed}"
        );
    }
}
