//! Checks the summary of a run. The run's time counts only if all tests passed.

/// Whether an output of libtest, libtest-mimic or the chaos harness reports exactly `count` passed
/// tests. Failed, ignored and filtered tests must not occur.
pub(crate) fn libtest_says_all_passed(output: &str, count: usize) -> bool {
    let expected =
        format!("test result: ok. {count} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    let mut results = output
        .lines()
        .filter(|line| line.starts_with("test result: "));
    results
        .next()
        .is_some_and(|line| line == expected || line.starts_with(&format!("{expected};")))
        && results.next().is_none()
}

/// Whether an output of nextest reports exactly `count` passed tests, and no skipped tests.
pub(crate) fn nextest_says_all_passed(output: &str, count: usize) -> bool {
    let expected = format!("{count} tests run: {count} passed, 0 skipped");
    output
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Summary ["))
        .filter_map(|line| line.split_once("] "))
        .any(|(_time, counts)| counts.trim() == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str = "\ntest result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.04s\n\n";

    #[test]
    fn summary_of_passed_tests_counts() {
        assert!(libtest_says_all_passed(OK, 10));
        let nextest = "------------\n     Summary [   2.913s] 10 tests run: 10 passed, 0 skipped\n";
        assert!(nextest_says_all_passed(nextest, 10));
    }

    #[test]
    fn summary_of_another_number_of_tests_does_not_count() {
        assert!(!libtest_says_all_passed(OK, 100));
        assert!(!libtest_says_all_passed(OK, 1));
        let nextest = "     Summary [   2.913s] 10 tests run: 10 passed, 0 skipped\n";
        assert!(!nextest_says_all_passed(nextest, 100));
        assert!(!nextest_says_all_passed(nextest, 0));
    }

    #[test]
    fn failed_ignored_or_filtered_tests_do_not_count() {
        for (good, bad) in [
            ("0 failed", "1 failed"),
            ("0 ignored", "1 ignored"),
            ("0 filtered out", "1 filtered out"),
            ("ok.", "FAILED."),
        ] {
            assert!(
                !libtest_says_all_passed(&OK.replace(good, bad), 10),
                "{bad}"
            );
        }
        for counts in [
            "10 tests run: 9 passed, 1 failed, 0 skipped",
            "10 tests run: 10 passed (1 flaky), 0 skipped",
            "10 tests run: 10 passed, 1 skipped",
            "9/10 tests run: 9 passed, 0 skipped",
        ] {
            let output = format!("     Summary [   2.913s] {counts}\n");
            assert!(!nextest_says_all_passed(&output, 10), "{counts}");
        }
    }

    #[test]
    fn output_without_a_summary_or_with_two_does_not_count() {
        assert!(!libtest_says_all_passed("running 10 tests\n", 10));
        assert!(!libtest_says_all_passed(&OK.repeat(2), 10));
        assert!(!nextest_says_all_passed("", 10));
    }
}
