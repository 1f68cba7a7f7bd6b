//! Tests can be registered with any path to the harness and any description. With `seed_name`, a
//! renamed test keeps its seeds.

use clarity_chaos_conformance::{RunOutput, Suite};
use harness::{Record, Verdict};
use std::collections::BTreeMap;
use std::fs;

const RENAMED: &str = env!("CARGO_BIN_EXE_renamed");
const BEFORE: &str = env!("CARGO_BIN_EXE_before_rename");
const EMPTY: &str = env!("CARGO_BIN_EXE_empty");

fn run(binary: &str, arguments: &[&str]) -> RunOutput {
    Suite::new(binary, "exec").run(arguments)
}

fn names(records: &BTreeMap<String, Record>) -> Vec<&str> {
    records.keys().map(String::as_str).collect()
}

/// Returns the record's planned faults as JSON, in the order of the record.
fn plan(record: &Record) -> Vec<String> {
    let planned = |fault| serde_json::to_string(fault).unwrap();
    record.faults.iter().map(planned).collect()
}

#[test]
fn crate_path_renamed_or_re_exported_registers_and_passes() {
    let ran = run(RENAMED, &["paths::", "--seed", "1"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(
        names(&ran.records),
        [
            "paths::in_quotes",
            "paths::of_a_dependency",
            "paths::of_a_macro",
            "paths::of_a_module",
            "paths::of_a_re_export"
        ]
    );
    let all_options = &ran.records["paths::in_quotes"];
    assert_eq!(all_options.tags, ["quick"]);
    assert_eq!(all_options.timeout_ms, 20_000);
    assert_eq!(all_options.clock, harness::ClockKind::Paused);
    assert_eq!(all_options.limits.memory_bytes, Some(1 << 30));
    assert_eq!(all_options.limits.open_files, Some(256));
    assert_eq!(all_options.limits.cpu_s, Some(60));
}

#[test]
fn description_of_doc_macros_is_expanded_and_trimmed() {
    let records = run(RENAMED, &["descriptions::", "paths::of_a_macro"]).records;
    let description = |test: &str| records[test].description.as_str();
    let file = "A file describes the scenario.\n\n- Its list items\n  - keep their indentation.";
    assert_eq!(description("descriptions::included"), file);
    assert_eq!(
        description("descriptions::concatenated"),
        "One part, and another."
    );
    assert_eq!(
        description("descriptions::mixed"),
        format!("A doc comment comes first.\n\n{file}\n\n\nA literal comes last.")
    );
    assert_eq!(
        description("paths::of_a_macro"),
        "The path begins with `$crate`."
    );
}

#[test]
fn seed_name_keeps_the_plan_of_the_old_name() {
    for seed in ["1", "2"] {
        let before = run(BEFORE, &["--exact", "seeds::draws", "--seed", seed]).records;
        let after = run(RENAMED, &["seeds::draws_", "--seed", seed]).records;
        let old = &before["seeds::draws"];
        let kept = &after["seeds::draws_as_before"];
        let changed = &after["seeds::draws_differently"];
        assert_eq!(kept.seed, old.seed);
        assert_eq!(plan(kept), plan(old));
        assert_eq!(plan(old).len(), 3);
        assert_ne!(changed.seed, old.seed);
        assert_ne!(plan(changed), plan(old));
        assert!(
            kept.replay_command.contains("seeds::draws_as_before"),
            "{}",
            kept.replay_command
        );
    }
}

#[test]
fn seed_name_tries_regressions_of_the_old_name_first() {
    let suite = Suite::new(RENAMED, "exec");
    fs::write(suite.regressions(), "seeds::fails 77  # an old failure\n").unwrap();
    let ran = suite.run(["--exact", "seeds::fails_as_before"]);
    assert_eq!(ran.code, Some(101), "{}", ran.stdout);
    let record = &ran.records["seeds::fails_as_before"];
    assert_eq!(record.root_seed, harness::Seed::new(77));
    assert!(!ran.stderr.contains("no test is called"), "{}", ran.stderr);
}

#[test]
fn seed_name_last_failed_finds_the_record_of_the_old_name() {
    let before = Suite::new(BEFORE, "exec");
    let ran = before.run(["--seed", "5"]);
    assert!(matches!(
        ran.records["seeds::fails"].verdict,
        Verdict::Panicked { .. }
    ));
    let after = Suite::new(RENAMED, "exec");
    let history = before.history();
    let history = history.to_str().unwrap();
    let ran = after.run(["--last-failed", "--history", history]);
    assert!(
        ran.stdout.contains("seeds::fails_as_before"),
        "{}",
        ran.stdout
    );
    let records = before.records();
    let record = &records["seeds::fails_as_before"];
    assert_eq!(record.root_seed, harness::Seed::new(5));
    assert!(!records.contains_key("seeds::draws_as_before"));
}

#[test]
fn library_mentioned_runs_its_tests() {
    let ran = run(RENAMED, &["--exact", "in_a_library"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(names(&ran.records), ["in_a_library"]);
}

#[test]
fn library_unmentioned_is_warned_about() {
    let ran = run(EMPTY, &[]);
    assert!(
        ran.stderr
            .contains("warning: this program contains no chaos tests"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("use LIBRARY as _;"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.records.is_empty());
}
