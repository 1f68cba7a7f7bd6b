//! Each way in which a test can end has its own verdict. The run continues after each of them.

use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::RunOutput;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Most tests here share this one run of the modules `endings` and `panics`. No test in the run
/// affects another test's verdict.
static RUN: LazyLock<RunOutput> = LazyLock::new(|| {
    let suite = suite();
    let ran = suite.run(["endings", "panics", "--skip", "waits_without_a_limit"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let left: Vec<_> = std::fs::read_dir(suite.tmp()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "directories of failed tests, in one directory: {left:?}"
    );
    ran
});

fn record(test: &str) -> &'static Record {
    &RUN.records[test]
}

fn verdict(test: &str) -> &'static Verdict {
    &record(test).verdict
}

#[test]
fn each_kind_of_ending_has_its_own_verdict() {
    let mut kinds = BTreeMap::new();
    for test in [
        "endings::passes",
        "endings::skips",
        "endings::fails",
        "endings::panics",
        "endings::spins_forever",
        "endings::aborts",
        "endings::overflows_its_stack",
        "endings::exits_early",
        "panics::in_a_thread",
    ] {
        let earlier = kinds.insert(verdict(test).kind(), test);
        assert_eq!(earlier, None, "{test} got the same verdict");
    }
}

#[test]
fn passed_test_keeps_notes_logs_and_output() {
    let record = record("endings::passes_and_tells");
    assert_eq!(record.verdict, Verdict::Passed);
    let printed = serde_json::to_value(&record.timeline).unwrap();
    let printed = printed.as_array().unwrap();
    let kinds: Vec<_> = printed.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["started", "note", "log", "finished"]);
    assert_eq!(printed[1]["text"], "a note");
    assert_eq!(printed[2]["level"], "WARN");
    assert_eq!(printed[2]["message"], "a warning");
    assert_eq!(
        printed[2]["fields"],
        serde_json::json!({"model": "m", "version": "2"})
    );
    assert_eq!(record.output.text, "printed\nprinted as an error\n");
    assert!(record.resources.cpu_us.is_some_and(|us| us > 0));
}

#[test]
fn error_is_reported_with_the_message_of_the_system() {
    let Verdict::Failed { message } = verdict("endings::fails") else {
        panic!("{:?}", verdict("endings::fails"));
    };
    assert!(message.contains("No such file"), "{message}");
}

#[test]
fn panic_is_reported_with_its_location() {
    let Verdict::Panicked { message, location } = verdict("endings::panics") else {
        panic!("{:?}", verdict("endings::panics"));
    };
    assert_eq!(message, "on purpose");
    assert!(
        location.as_ref().unwrap().contains("endings.rs:"),
        "{location:?}"
    );
}

#[test]
fn skipped_test_has_a_reason_and_is_no_failure() {
    let reason = "not on this machine".to_owned();
    assert_eq!(*verdict("endings::skips"), Verdict::Skipped { reason });
    assert!(
        RUN.stdout.contains("ignored (not on this machine)"),
        "{}",
        RUN.stdout
    );
}

#[test]
fn endless_loops_and_waits_time_out() {
    for test in ["endings::spins_forever", "endings::waits_forever"] {
        assert_eq!(
            *verdict(test),
            Verdict::TimedOut { limit_ms: 1000 },
            "{test}"
        );
    }
    // The record keeps the events before the hang.
    assert_eq!(record("endings::waits_forever").timeline.len(), 2);
}

#[test]
fn abort_and_stack_overflow_have_different_verdicts() {
    assert_eq!(*verdict("endings::aborts"), Verdict::Killed { signal: 6 });
    assert_eq!(
        *verdict("endings::overflows_its_stack"),
        Verdict::StackOverflow
    );
}

#[test]
fn early_exit_with_success_is_a_failure() {
    assert_eq!(
        *verdict("endings::exits_early"),
        Verdict::ExitedEarly { code: 0 }
    );
}

#[test]
fn exit_handlers_run_and_buffers_are_flushed() {
    let record = record("endings::leaves_work_for_the_exit");
    assert_eq!(record.verdict, Verdict::Passed);
    let printed = &record.output.text;
    assert!(printed.contains("a handler was called"), "{printed}");
    assert!(printed.contains("a line in a buffer"), "{printed}");
}

#[test]
fn megabyte_of_output_is_kept_whole() {
    let output = &record("endings::prints_a_megabyte").output;
    assert_eq!(*verdict("endings::prints_a_megabyte"), Verdict::Passed);
    assert_eq!((output.total_bytes, output.omitted_bytes), (1 << 20, 0));
    assert_eq!(output.text.len(), 1 << 20);
}

#[test]
fn undeclared_panics_outside_of_the_body_fail_the_test() {
    for (test, message) in [
        ("panics::in_a_thread", "in a thread"),
        ("panics::in_a_task", "in a task"),
        ("panics::caught", "caught"),
        ("panics::another_than_expected", "by surprise"),
    ] {
        let Verdict::PanickedElsewhere { panics } = verdict(test) else {
            panic!("{test}: {:?}", verdict(test));
        };
        assert_eq!(panics.len(), 1, "{panics:?}");
        assert!(panics[0].contains(message), "{panics:?}");
        assert!(panics[0].contains("panics.rs:"), "{panics:?}");
    }
}

#[test]
fn declared_panics_are_no_failure_unless_absent() {
    for test in ["expected", "expected_of_the_body", "allowed_in_vain"] {
        assert_eq!(
            *verdict(&format!("panics::{test}")),
            Verdict::Passed,
            "{test}"
        );
    }
    let Verdict::Failed { message } = verdict("panics::expected_in_vain") else {
        panic!("{:?}", verdict("panics::expected_in_vain"));
    };
    assert!(
        message.contains("`as announced`, and none happened"),
        "{message}"
    );
}

#[test]
fn failure_is_reported_with_the_command_that_repeats_it() {
    let record = record("endings::fails");
    let isolation = suite().isolation();
    let line = format!(
        "cargo run -p clarity-chaos-conformance --bin misbehaving -- --exact endings::fails --seed {} --isolation {isolation}",
        record.root_seed
    );
    assert_eq!(record.replay_command, line);
    assert!(
        RUN.stdout.contains(&record.replay_command),
        "{}",
        RUN.stdout
    );
}

#[test]
fn directory_of_failed_test_is_kept_and_named() {
    let suite = suite();
    let kept = suite.record_of("endings::fails").kept_dir.unwrap();
    assert!(kept.join("timeline.jsonl").is_file());
    assert!(suite.record_of("endings::passes").kept_dir.is_none());
    let ran = suite.run(["--exact", "endings::fails", "--keep-dirs", "never"]);
    assert_eq!(ran.records["endings::fails"].kept_dir, None);
}

#[test]
fn skip_request_excuses_no_failure() {
    let message = "a real failure".to_owned();
    assert_eq!(
        *verdict("endings::fails_after_asking_to_be_skipped"),
        Verdict::Failed { message }
    );
}

#[test]
fn expected_panic_excuses_no_other_panic_of_the_body() {
    let Verdict::Panicked { message, .. } = verdict("panics::resumed_after_an_expected_one") else {
        panic!("{:?}", verdict("panics::resumed_after_an_expected_one"));
    };
    assert_eq!(message, "the real failure");
}

#[test]
fn replaced_panic_hook_fails_the_test_unless_put_back() {
    let Verdict::Failed { message } = verdict("panics::behind_a_replaced_hook") else {
        panic!("{:?}", verdict("panics::behind_a_replaced_hook"));
    };
    assert!(message.contains("replaced the panic hook"), "{message}");
    assert_eq!(*verdict("panics::with_the_hook_put_back"), Verdict::Passed);
}

#[test]
fn panic_message_is_printed() {
    assert!(record("endings::panics").output.text.contains("on purpose"));
}

#[test]
fn record_has_schema_version_and_plausible_numbers() {
    let record = record("endings::prints_a_megabyte");
    assert_eq!(record.schema, 2);
    assert!(record.duration_us > 100, "{} µs", record.duration_us);
    if cfg!(target_os = "linux") {
        let bytes = record.resources.peak_memory_bytes.unwrap();
        assert!((1 << 20..1 << 32).contains(&bytes), "{bytes} bytes");
    }
}

#[test]
fn timeout_option_limits_tests_without_their_own() {
    let suite = suite();
    let test = "endings::waits_without_a_limit";
    let ran = suite.run(["--exact", test, "--timeout", "300ms"]);
    assert_eq!(
        ran.records[test].verdict,
        Verdict::TimedOut { limit_ms: 300 }
    );
    assert!(ran.records[test].replay_command.contains("--timeout 300ms"));
    let ran = suite.run([
        "--exact",
        test,
        "--timeout",
        "300ms",
        "--grace",
        "9999999999y",
    ]);
    assert_eq!(
        ran.records[test].verdict,
        Verdict::TimedOut { limit_ms: 300 }
    );
}

#[test]
fn test_has_its_own_thread_directory_and_generators() {
    let ran = suite().run(["test_environment"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 2, "{}", ran.stdout);
    for record in ran.records.values() {
        assert_eq!(record.verdict, Verdict::Passed, "{}", record.name);
    }
}

#[test]
fn log_option_records_finer_events() {
    let suite = suite();
    let test = "endings::passes_and_tells";
    let ran = suite.run(["--exact", test, "--log", "misbehaving=debug"]);
    assert_eq!(ran.records[test].timeline.len(), 5);
}

#[test]
fn keep_dirs_always_keeps_directories_of_passed_tests() {
    let suite = suite();
    let ran = suite.run(["--exact", "endings::passes", "--keep-dirs", "always"]);
    assert!(
        ran.records["endings::passes"]
            .kept_dir
            .as_ref()
            .unwrap()
            .is_dir()
    );
}

#[test]
fn retry_in_the_runner_process_has_its_own_directory() {
    let suite = suite();
    let test = "endings::fails";
    let thread = ["--isolation", "thread", "--exact", test];
    let ran = suite.run(thread.into_iter().chain(["--retries", "1"]));
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    let record = &ran.records[test];
    let first = &record.failed_attempts[0].verdict;
    assert!(matches!(first, Verdict::Failed { .. }), "{first:?}");
    assert_eq!(record.verdict, *first);
    let kept = record.kept_dir.as_ref().unwrap();
    assert!(kept.join("output").is_file(), "{}", kept.display());
}
