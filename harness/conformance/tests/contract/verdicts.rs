//! Every way for a test to end gets its own verdict, and the run goes on.

use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::Ran;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One run of all endings and panics together, so that each is also shown to disturb no other.
static RAN: LazyLock<Ran> = LazyLock::new(|| {
    let suite = suite();
    let ran = suite.run(["endings", "panics", "--skip", "waits_without_a_limit"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let left: Vec<_> = std::fs::read_dir(suite.tmp()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "the folders of failed tests, in one folder: {left:?}"
    );
    ran
});

fn record(test: &str) -> &'static Record {
    &RAN.records[test]
}

fn verdict(test: &str) -> &'static Verdict {
    &record(test).verdict
}

#[test]
fn no_two_kinds_of_ending_look_alike() {
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
fn a_pass_keeps_what_was_noted_logged_and_printed() {
    let record = record("endings::passes_and_tells");
    assert_eq!(record.verdict, Verdict::Passed);
    let told = serde_json::to_value(&record.timeline).unwrap();
    let told = told.as_array().unwrap();
    let kinds: Vec<_> = told.iter().map(|event| &event["event"]).collect();
    assert_eq!(kinds, ["started", "note", "log", "finished"]);
    assert_eq!(told[1]["text"], "a note");
    assert_eq!(told[2]["level"], "WARN");
    assert_eq!(told[2]["message"], "a warning");
    assert_eq!(
        told[2]["fields"],
        serde_json::json!({"model": "m", "version": "2"})
    );
    assert_eq!(record.output.text, "printed\nprinted as an error\n");
    assert!(record.resources.cpu_us.is_some_and(|us| us > 0));
}

#[test]
fn an_error_is_told_with_the_systems_words() {
    let Verdict::Failed { message } = verdict("endings::fails") else {
        panic!("{:?}", verdict("endings::fails"));
    };
    assert!(message.contains("No such file"), "{message}");
}

#[test]
fn a_panic_is_told_with_its_place() {
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
fn a_skipped_test_says_why_and_is_no_failure() {
    let reason = "not on this machine".to_owned();
    assert_eq!(*verdict("endings::skips"), Verdict::Skipped { reason });
    assert!(
        RAN.stdout.contains("ignored (not on this machine)"),
        "{}",
        RAN.stdout
    );
}

#[test]
fn loops_and_waits_without_end_are_timed_out() {
    for test in ["endings::spins_forever", "endings::waits_forever"] {
        assert_eq!(
            *verdict(test),
            Verdict::TimedOut { limit_ms: 1000 },
            "{test}"
        );
    }
    // What it did before it hung is known.
    assert_eq!(record("endings::waits_forever").timeline.len(), 2);
}

#[test]
fn an_abort_is_told_from_a_stack_overflow() {
    assert_eq!(*verdict("endings::aborts"), Verdict::Killed { signal: 6 });
    assert_eq!(
        *verdict("endings::overflows_its_stack"),
        Verdict::StackOverflow
    );
}

#[test]
fn an_exit_with_success_before_the_end_is_a_failure() {
    assert_eq!(
        *verdict("endings::exits_early"),
        Verdict::ExitedEarly { code: 0 }
    );
}

#[test]
fn what_is_left_for_the_exit_is_done() {
    let record = record("endings::leaves_work_for_the_exit");
    assert_eq!(record.verdict, Verdict::Passed);
    let printed = &record.output.text;
    assert!(printed.contains("a handler was called"), "{printed}");
    assert!(printed.contains("a line in a buffer"), "{printed}");
}

#[test]
fn a_megabyte_of_output_is_kept_whole() {
    let output = &record("endings::prints_a_megabyte").output;
    assert_eq!(*verdict("endings::prints_a_megabyte"), Verdict::Passed);
    assert_eq!((output.total_bytes, output.omitted_bytes), (1 << 20, 0));
    assert_eq!(output.text.len(), 1 << 20);
}

#[test]
fn panics_that_nobody_declared_fail_the_test_wherever_they_happen() {
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
fn declared_panics_are_no_failure_unless_they_stay_away() {
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
fn a_failure_ends_with_the_line_that_repeats_it() {
    let record = record("endings::fails");
    let isolation = suite().isolation();
    let line = format!(
        "cargo run -p clarity-chaos-conformance --bin misbehaving -- --exact endings::fails --seed {} --isolation {isolation}",
        record.root_seed
    );
    assert_eq!(record.replay, line);
    assert!(RAN.stdout.contains(&record.replay), "{}", RAN.stdout);
}

#[test]
fn the_folder_of_a_failed_test_is_kept_and_named() {
    let suite = suite();
    let kept = suite.record_of("endings::fails").kept.unwrap();
    assert!(kept.join("timeline.jsonl").is_file());
    assert!(suite.record_of("endings::passes").kept.is_none());
    let ran = suite.run(["--exact", "endings::fails", "--keep-dirs", "never"]);
    assert_eq!(ran.records["endings::fails"].kept, None);
}

#[test]
fn asking_to_be_skipped_excuses_no_failure() {
    let message = "a real failure".to_owned();
    assert_eq!(
        *verdict("endings::fails_after_asking_to_be_skipped"),
        Verdict::Failed { message }
    );
}

#[test]
fn an_expected_panic_excuses_no_other_that_ends_the_body() {
    let Verdict::Panicked { message, .. } = verdict("panics::resumed_after_an_expected_one") else {
        panic!("{:?}", verdict("panics::resumed_after_an_expected_one"));
    };
    assert_eq!(message, "the real failure");
}

#[test]
fn a_test_that_replaces_the_panic_hook_does_not_pass_unless_it_puts_it_back() {
    let Verdict::Failed { message } = verdict("panics::behind_a_replaced_hook") else {
        panic!("{:?}", verdict("panics::behind_a_replaced_hook"));
    };
    assert!(message.contains("replaced the panic hook"), "{message}");
    assert_eq!(*verdict("panics::with_the_hook_put_back"), Verdict::Passed);
}

#[test]
fn a_panic_is_printed_too() {
    assert!(record("endings::panics").output.text.contains("on purpose"));
}

#[test]
fn records_carry_their_version_and_plausible_numbers() {
    let record = record("endings::prints_a_megabyte");
    assert_eq!(record.schema, 1);
    assert!(record.duration_us > 100, "{} µs", record.duration_us);
    if cfg!(target_os = "linux") {
        let bytes = record.resources.peak_memory_bytes.unwrap();
        assert!((1 << 20..1 << 32).contains(&bytes), "{bytes} bytes");
    }
}

#[test]
fn the_limit_of_tests_without_one_can_be_set() {
    let suite = suite();
    let test = "endings::waits_without_a_limit";
    let ran = suite.run(["--exact", test, "--timeout", "300ms"]);
    assert_eq!(
        ran.records[test].verdict,
        Verdict::TimedOut { limit_ms: 300 }
    );
    assert!(ran.records[test].replay.contains("--timeout 300ms"));
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
fn what_a_test_finds_around_it_is_its_own() {
    let ran = suite().run(["surroundings"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

#[test]
fn finer_events_are_told_when_they_are_asked_for() {
    let suite = suite();
    let test = "endings::passes_and_tells";
    let ran = suite.run(["--exact", test, "--log", "misbehaving=debug"]);
    assert_eq!(ran.records[test].timeline.len(), 5);
}

#[test]
fn all_folders_are_kept_when_that_is_asked_for() {
    let suite = suite();
    let ran = suite.run(["--exact", "endings::passes", "--keep-dirs", "always"]);
    assert!(
        ran.records["endings::passes"]
            .kept
            .as_ref()
            .unwrap()
            .is_dir()
    );
}
