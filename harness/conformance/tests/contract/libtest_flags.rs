//! The command line takes libtest's flags: those of a stable compiler, and those of a nightly
//! compiler with and without `-Z unstable-options`.

use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::RunOutput;
use clarity_chaos_conformance::limits::output_of;
use std::collections::BTreeMap;

const UNSTABLE: [&[&str]; 2] = [&[], &["-Z", "unstable-options"]];

/// Runs the suite with variables. Returns the exit code, and both outputs together.
fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String) {
    let suite = suite();
    let mut command = suite.command();
    command.args(arguments).envs(variables.iter().copied());
    let output = output_of(&mut command);
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    (output.status.code(), printed)
}

/// Returns the names of the tests in the order in which they started.
fn order(ran: &RunOutput) -> Vec<String> {
    let lines = ran.stdout.lines();
    let lines = lines.filter_map(|line| line.strip_prefix("test "));
    let names = lines.filter_map(|line| line.split_once(" ... "));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn threads_come_from_the_variable_unless_an_option_is_given() {
    const THREADS: &str = "RUST_TEST_THREADS";
    let test = ["--exact", "endings::passes"];
    assert_eq!(run_with(&[(THREADS, "2")], &test).0, Some(0));
    for wrong in ["0", "x", "-1"] {
        let (code, printed) = run_with(&[(THREADS, wrong)], &test);
        assert_eq!(code, Some(2), "{wrong}: {printed}");
        assert!(printed.contains("--test-threads"), "{printed}");
        let given = [&test[..], &["--test-threads", "1"]].concat();
        assert_eq!(run_with(&[(THREADS, wrong)], &given).0, Some(0));
    }
    // In the runner's process, tests run one at a time: a number in the environment is no error.
    let thread = [&test[..], &["--isolation", "thread"]].concat();
    assert_eq!(run_with(&[(THREADS, "2")], &thread).0, Some(0));
}

#[test]
fn threads_of_the_variable_limit_the_tests_at_a_time() {
    // With one thread, the tests start in their order.
    let (_, printed) = run_with(
        &[("RUST_TEST_THREADS", "1")],
        &["tags::", "--format", "json"],
    );
    let events: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains(r#""type":"test""#))
        .collect();
    assert!(events.len() >= 8, "{printed}");
    for pair in events.chunks(2) {
        assert!(pair[0].contains(r#""event":"started""#), "{printed}");
        assert!(pair[1].contains(r#""event":"ok""#), "{printed}");
    }
}

#[test]
fn output_is_not_captured_by_flag_or_variable() {
    const VARIABLE: &str = "RUST_TEST_NOCAPTURE";
    let test = "endings::passes_and_tells";
    let shows = |variables: &[(&str, &str)], flags: &[&str]| {
        let (code, printed) = run_with(variables, &[&["--exact", test], flags].concat());
        assert_eq!(code, Some(0), "{printed}");
        printed.contains("printed as an error")
    };
    for flags in [
        &["--no-capture"][..],
        &["--nocapture"],
        &["--nocapture", "--no-capture"],
    ] {
        assert!(shows(&[], flags), "{flags:?}");
    }
    // libtest takes each value but `0`, and also an empty one.
    for value in ["1", "yes", ""] {
        assert!(shows(&[(VARIABLE, value)], &[]), "{value:?}");
    }
    assert!(!shows(&[(VARIABLE, "0")], &[]));
    assert!(!shows(&[], &[]));
}

#[test]
fn list_as_json_names_each_test_with_its_place() {
    for unstable in UNSTABLE {
        let arguments = [unstable, &["--list", "--format", "json", "tags::model"]].concat();
        let listed = suite().run(arguments);
        assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));
        let lines: Vec<serde_json::Value> = listed
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{}", listed.stdout);
        assert_eq!(lines[0]["event"], "discovery");
        let test = &lines[1];
        assert_eq!(test["event"], "discovered");
        assert_eq!(test["name"], "tags::model");
        assert_eq!(test["ignore"], false);
        assert_eq!(test["chaos"]["tags"][0], "model");
        let file = test["source_path"].as_str().unwrap();
        assert!(file.ends_with("tags.rs"), "{file}");
        assert!(test["start_line"].as_u64().unwrap() > 1);
        assert_eq!(test["start_col"], 1);
        assert_eq!(lines[2]["event"], "completed");
        assert_eq!(lines[2]["total"], 1);
    }
}

#[test]
fn times_are_reported_and_ensured() {
    for unstable in UNSTABLE {
        let arguments = [unstable, &["--exact", "endings::passes", "--report-time"]].concat();
        let (code, printed) = run_with(&[], &arguments);
        assert_eq!(code, Some(0), "{printed}");
        let line = printed
            .lines()
            .find(|line| line.contains("passes ... ok <"));
        assert!(line.is_some_and(|line| line.ends_with("s>")), "{printed}");
    }
    let limit = |value| [("RUST_TEST_TIME_INTEGRATION", value)];
    let test = ["--exact", "endings::passes", "--ensure-time"];
    let (code, printed) = run_with(&limit("0,0"), &test);
    assert_eq!(code, Some(101), "{printed}");
    assert!(printed.contains("time limit exceeded"), "{printed}");
    let again = "RUST_TEST_TIME_INTEGRATION=0,0 cargo run ";
    assert!(
        printed.contains(again) && printed.contains(" --ensure-time"),
        "{printed}"
    );
    assert_eq!(run_with(&limit("0,600000"), &test).0, Some(0));
    let (code, printed) = run_with(&limit("2,1"), &test);
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.contains("WARN,CRITICAL"), "{printed}");
    // Without the flag, the variable means nothing.
    assert_eq!(run_with(&limit("2,1"), &test[..2]).0, Some(0));
}

#[test]
fn shuffle_changes_the_order_and_nothing_else() {
    let run = |more: &[&str]| {
        let arguments = ["plans::", "tags::", "--test-threads", "1", "--seed", "7"];
        suite().run(arguments.iter().chain(more))
    };
    // The seed and the faults of each test.
    let draws = |ran: &RunOutput| -> BTreeMap<String, (String, Vec<String>)> {
        let records = ran.records.values();
        records
            .map(|record| {
                let faults = record.faults.iter().map(ToString::to_string);
                let draws = (record.seed.to_string(), faults.collect());
                (record.name.clone(), draws)
            })
            .collect()
    };
    let sorted = run(&[]);
    let order_of_sorted = order(&sorted);
    assert!(order_of_sorted.is_sorted() && order_of_sorted.len() > 5);
    let mut orders = vec![order_of_sorted];
    for unstable in UNSTABLE {
        for seed in ["1", "2"] {
            let shuffled = run(&[unstable, &["--shuffle-seed", seed]].concat());
            let line = format!("(shuffle seed: {seed})");
            assert!(shuffled.stdout.contains(&line), "{}", shuffled.stdout);
            assert_eq!(draws(&shuffled), draws(&sorted));
            assert_eq!(shuffled.code, sorted.code);
            orders.push(order(&shuffled));
        }
    }
    assert_eq!(orders[1..3], orders[3..5], "an order is not repeated");
    orders.truncate(3);
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 3, "two orders are the same");

    let drawn = run(&["--shuffle"]);
    assert_eq!(draws(&drawn), draws(&sorted));
    let (_, seed) = drawn.stdout.split_once("(shuffle seed: ").unwrap();
    let (seed, _) = seed.split_once(')').unwrap();
    let repeats = format!("--seed 7 --shuffle-seed {seed} ");
    assert!(drawn.stdout.contains(&repeats), "{}", drawn.stdout);
    let again = run(&["--shuffle-seed", seed]);
    assert_eq!(order(&again), order(&drawn));
}

#[test]
fn benchmarks_alone_run_no_test() {
    let ran = suite().run(["endings::", "--bench"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert!(ran.records.is_empty());
    let tests = order(&ran).len();
    let totals = format!("test result: ok. 0 passed; 0 failed; {tests} ignored; 0 measured");
    assert!(tests > 0 && ran.stdout.contains(&totals), "{}", ran.stdout);
    for flags in [&["--test"][..], &["--test", "--bench"]] {
        let ran = suite().run(["--exact", "endings::passes"].iter().chain(flags));
        assert_eq!(ran.records["endings::passes"].verdict, Verdict::Passed);
    }
}

#[test]
fn no_test_starts_after_the_first_failure() {
    for unstable in UNSTABLE {
        let arguments = ["--fail-fast", "--test-threads", "1", "--exact"];
        let tests = ["endings::fails", "endings::passes"];
        let ran = suite().run(arguments.iter().chain(&tests).chain(unstable));
        assert_eq!(ran.code, Some(101));
        assert_eq!(ran.records.keys().collect::<Vec<_>>(), ["endings::fails"]);
    }
}

#[test]
fn format_overrides_quiet() {
    let ran = suite().run(["--exact", "endings::passes", "-q", "--format", "pretty"]);
    assert!(
        ran.stdout.contains("test endings::passes ... ok"),
        "{}",
        ran.stdout
    );
}
