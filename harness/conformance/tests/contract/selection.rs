//! Options and expressions select tests. A selection without a test is an error.

use crate::suite;
use clarity_chaos_conformance::RunOutput;
use clarity_chaos_conformance::limits::output_of;

fn run(arguments: &[&str]) -> RunOutput {
    suite().run(arguments)
}

/// Returns the names of the tests that these arguments select, without the prefix `tags::`.
fn ran(arguments: &[&str]) -> Vec<String> {
    let ran = run(arguments);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    let names = ran.records.into_keys();
    names.map(|name| name.replace("tags::", "")).collect()
}

#[test]
fn tags_and_expressions_select() {
    assert_eq!(
        ran(&["tags", "--tag", "breaker"]),
        ["breaker", "breaker_and_slow"]
    );
    assert_eq!(ran(&["tags", "--skip-tag", "slow"]), ["breaker", "model"]);
    assert_eq!(
        ran(&["--tag", "slow", "--tag", "model"]),
        ["breaker_and_slow", "model", "slow"]
    );
    assert_eq!(ran(&["-m", "not slow and breaker"]), ["breaker"]);
    assert_eq!(ran(&["-m", "slow and not (model or breaker)"]), ["slow"]);
}

#[test]
fn filters_are_any_of_and_exact_names_are_exact() {
    assert_eq!(
        ran(&["tags::model", "tags::breaker"]),
        ["breaker", "breaker_and_slow", "model"]
    );
    assert_eq!(
        ran(&["--exact", "tags::model", "tags::breaker"]),
        ["breaker", "model"]
    );
    assert_eq!(ran(&["tags", "--skip", "slow"]), ["breaker", "model"]);
}

#[test]
fn other_tests_are_counted_as_filtered_out() {
    let ran = run(&["--exact", "tags::model"]);
    let rest = suite().tests() - 1;
    let printed = format!("1 passed; 0 failed; 0 ignored; 0 measured; {rest} filtered out");
    assert!(ran.stdout.contains(&printed), "{}", ran.stdout);
}

#[test]
fn unknown_exact_name_is_an_error_with_the_nearest_name() {
    let ran = run(&["--exact", "tags::modle"]);
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stderr
            .contains("no test is called `tags::modle` (did you mean `tags::model`?)"),
        "{}",
        ran.stderr
    );
    // One unknown name among known names is an error, too, and no test runs.
    let ran = run(&["--exact", "tags::model", "nonsense"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.records.is_empty());
}

#[test]
fn empty_selection_is_an_error_unless_it_is_a_bare_filter() {
    assert_eq!(run(&["--tag", "slow", "--skip-tag", "slow"]).code, Some(4));
    let bare = run(&["no such name"]);
    assert_eq!(bare.code, Some(0));
    assert!(
        bare.stderr.contains("tests is selected (--list shows them"),
        "{}",
        bare.stderr
    );
    assert_eq!(run(&["no such name", "--no-tests", "fail"]).code, Some(4));
    let passed = run(&["--exact", "nonsense", "--no-tests", "pass"]);
    assert_eq!((passed.code, passed.stderr.as_str()), (Some(0), ""));
}

#[test]
fn unknown_tag_is_reported_with_the_nearest_tag() {
    let ran = run(&["tags", "--skip-tag", "slwo"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("no test has the tag `slwo` (did you mean `slow`?); the tags are: breaker, harmful, model, non_destructive, profiled, slow"),
        "{}",
        ran.stderr
    );
}

#[test]
fn terse_list_holds_names_alone() {
    let listed = run(&["--list", "--format", "terse"]);
    assert_eq!(listed.code, Some(0));
    assert_eq!(listed.stderr, "");
    assert!(listed.stdout.contains("tags::model: test\n"));
    assert!(
        listed.stdout.lines().all(|line| line.ends_with(": test")),
        "{}",
        listed.stdout
    );
    assert!(listed.stdout.lines().is_sorted());
    let ignored = run(&["--list", "--format", "terse", "--ignored"]);
    assert_eq!((ignored.code, ignored.stdout.as_str()), (Some(0), ""));
}

#[test]
fn list_shows_tags_and_scenarios() {
    let listed = run(&["--list", "tags::model", "breaker_and_slow"]);
    assert_eq!(
        listed.stdout,
        "tags::breaker_and_slow: test\n    [breaker, slow]\n    Tagged `breaker` and `slow`.\n\
         tags::model: test\n    [model]\n    Tagged `model`.\n    \n    In two paragraphs.\n\n2 tests, 0 benchmarks\n"
    );
}

#[test]
fn environment_variables_set_options() {
    let suite = suite();
    let output = output_of(
        suite
            .command()
            .env("CHAOS_TAG", "model,breaker")
            .env("CHAOS_SKIP_TAG", "slow")
            .args(["--list", "--format", "terse"]),
    );
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed, "tags::breaker: test\ntags::model: test\n");
}

#[test]
fn usage_error_exits_with_2_and_help_has_its_sections() {
    let wrong = run(&["-m", "slow and"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong
            .stderr
            .contains("expected a tag, `not` or `(`, found the end at column 9"),
        "{}",
        wrong.stderr
    );
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for word in [
        "Examples",
        "Exit codes",
        "--skip-tag",
        "--seed last",
        "[env: CHAOS_JUNIT=]",
    ] {
        assert!(
            help.stdout.contains(word),
            "--help does not say {word}:\n{}",
            help.stdout
        );
    }
}

#[test]
fn exact_name_that_another_option_excludes_is_an_error() {
    let ran = run(&["--exact", "tags::slow", "tags::model", "--skip-tag", "slow"]);
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stderr.contains("another option deselects `tags::slow`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn empty_variable_is_unset_and_unknown_tag_is_an_error() {
    let suite = suite();
    let with = |name: &str, value: &str| {
        let mut command = suite.command();
        command.args(["tags::model"]).env(name, value);
        output_of(&mut command).status.code()
    };
    for name in [
        "TAG",
        "SKIP_TAG",
        "MARKERS",
        "NO_TESTS",
        "SEED",
        "TIMEOUT",
        "JUNIT",
        "KEEP_DIRS",
        "LOG",
    ] {
        assert_eq!(with(&format!("CHAOS_{name}"), ""), Some(0), "CHAOS_{name}");
    }
    assert_eq!(with("CHAOS_TAG", "zzz"), Some(4));
}

#[test]
fn skipped_names_are_exact_when_filters_are() {
    assert_eq!(
        ran(&[
            "--exact",
            "tags::breaker",
            "tags::breaker_and_slow",
            "--skip",
            "tags::slow"
        ]),
        ["breaker", "breaker_and_slow"]
    );
}

#[test]
fn last_failed_test_runs_alone_or_first_with_its_seed() {
    let suite = suite();
    let passing = "endings::passes";
    let none = suite.run(["--exact", passing, "--last-failed"]);
    assert_eq!((none.code, none.records.len()), (Some(0), 1));
    assert!(none.stderr.contains("all of them run"), "{}", none.stderr);

    // `rarely_fails` fails with about one seed in fifty.
    let failing = "sweeps::rarely_fails";
    let filters = [passing, failing, "--exact"];
    let seed = (0..1000)
        .map(|seed| seed.to_string())
        .find(|seed| {
            let ran = suite.run(["--exact", failing, "--seed", seed]);
            ran.code == Some(101)
        })
        .expect("a seed that it fails with");
    suite.run([passing, "--exact", "--seed", &seed]);

    let again = suite.run(filters.into_iter().chain(["--lf"]));
    assert_eq!(again.code, Some(101));
    assert!(again.stdout.starts_with("chaos: 1 of "), "{}", again.stdout);
    assert!(
        !again.stdout.contains("test endings::passes "),
        "{}",
        again.stdout
    );
    assert_eq!(again.records[failing].root_seed.to_string(), seed);

    let first = suite.run(filters.into_iter().chain(["--ff", "--test-threads", "1"]));
    assert_eq!(first.code, Some(101));
    let place = |test: &str| first.stdout.find(&format!("test {test} ")).unwrap();
    assert!(place(failing) < place(passing), "{}", first.stdout);
    assert_eq!(first.records[failing].root_seed.to_string(), seed);
}
