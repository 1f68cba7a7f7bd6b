//! GitHub's runner finds the harness's annotations in the output of a run, and no other command.

use crate::suite;
use clarity_chaos_conformance::RunOutput;

/// The commands that the runner knows. It compares names without regard to case.
const KNOWN: [&str; 15] = [
    "add-mask",
    "add-matcher",
    "add-path",
    "debug",
    "echo",
    "endgroup",
    "error",
    "group",
    "internal-set-repo-path",
    "notice",
    "remove-matcher",
    "save-state",
    "set-env",
    "set-output",
    "stop-commands",
];

/// Characters that the runner's string comparisons may ignore.
fn is_ignorable(character: char) -> bool {
    character.is_control() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}')
}

fn is_known(information: &str) -> bool {
    let name = information.split(' ').next().unwrap_or_default();
    let is_same = |known: &&str| known.eq_ignore_ascii_case(name);
    KNOWN.iter().chain(&["warning"]).any(is_same)
}

/// Returns the lines of `output` that the runner takes for commands, by its rules.
///
/// The runner ends lines at line feeds and carriage returns. It first looks for `::` after leading
/// blanks, and then for `##[` anywhere in the line.
fn commands(output: &str) -> Vec<&str> {
    let lines = output.split(['\n', '\r']);
    let is_command = |line: &&str| {
        let visible: String = line.chars().filter(|c| !is_ignorable(*c)).collect();
        [*line, &visible].into_iter().any(|line| {
            let second = line
                .trim_start()
                .strip_prefix("::")
                .and_then(|rest| rest.split_once("::"))
                .is_some_and(|(information, _)| is_known(information));
            let first = line
                .split_once("##[")
                .and_then(|(_, rest)| rest.split_once(']'))
                .is_some_and(|(information, _)| is_known(information));
            second || first
        })
    };
    lines.filter(is_command).collect()
}

/// Asserts that the runner finds an annotation for each failure in the output, and nothing else.
#[track_caller]
fn assert_only_annotations(ran: &RunOutput, failures: usize, how: &str) {
    let mut found = commands(&ran.stdout);
    found.extend(commands(&ran.stderr));
    let is_ours = |line: &&str| {
        let rest = line.strip_prefix("::error file=");
        rest.is_some_and(|rest| rest.contains("src/misbehaving/commands.rs,line="))
    };
    let (ours, others): (Vec<&str>, Vec<&str>) = found.into_iter().partition(is_ours);
    assert_eq!(others, Vec::<&str>::new(), "{how}:\n{}", ran.stdout);
    assert_eq!(
        ours.len(),
        failures,
        "{how}:\n{}\n{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn rules_of_the_runner_find_commands_in_each_form() {
    for line in [
        "::error::x",
        " \t\u{a0}::Error file=a,line=1::x",
        "a\r::add-mask::e",
        "text ##[error]x",
        "\u{200b}::error::x",
        "#\u{200b}#[ERROR a=b]x",
    ] {
        assert_eq!(commands(line).len(), 1, "{line:?}");
    }
    for line in [
        "test a::error::b ... ok",
        "| ::error::x",
        "## [error]x",
        "::other::x",
    ] {
        assert_eq!(commands(line).len(), 0, "{line:?}");
    }
}

#[test]
fn runner_finds_annotations_and_nothing_else() {
    let suite = suite();
    let file = suite.tmp().join("file");
    let run = |is_github: bool, options: &[&str]| {
        std::fs::write(&file, "").unwrap();
        let mut command = suite.command();
        command
            .args(["commands::", "--keep-dirs", "never"])
            .args(options)
            .env("MISBEHAVING_FILE", &file)
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY");
        if !options.contains(&"--seeds") && !options.contains(&"--records") {
            command.args(["--retries", "1"]);
        }
        if is_github {
            command.env("GITHUB_ACTIONS", "true");
        }
        suite.run_command(&mut command)
    };
    let forms: [&[&str]; 8] = [
        &[],
        &["-v", "--color", "always"],
        &["--quiet"],
        &["--format", "json"],
        &["--nocapture", "--test-threads", "3"],
        &["--format", "json", "--nocapture"],
        &["--show-output"],
        &["--seeds", "0..2", "--oracles", "strict"],
    ];
    for form in forms {
        let how = form.join(" ");
        let ran = run(true, form);
        // In a sweep, the flaky test has failed, too.
        let failures = if how.contains("--seeds") { 4 } else { 3 };
        assert_only_annotations(&ran, failures, &how);
        assert_only_annotations(&run(false, form), 0, &how);
    }
    let records = suite.history().join("records");
    for how in [&["--list"][..], &["--list", "--format", "json"]] {
        assert_only_annotations(&run(true, how), 0, &how.join(" "));
    }
    // The last records are those of the sweep.
    let again = run(true, &["--records", records.to_str().unwrap()]);
    assert_only_annotations(&again, 4, "--records");
}

/// Each line that a test has printed is visibly not the harness's own, and no text is missing.
#[test]
fn printed_lines_have_a_visible_prefix() {
    let suite = suite();
    let mut command = suite.command();
    command
        .args(["--exact", "commands::passes", "--nocapture"])
        .env("GITHUB_ACTIONS", "true");
    let shown = suite.run_command(&mut command);
    assert!(
        shown.stdout.contains("| text\n| ::stop-commands::x\n"),
        "{}",
        shown.stdout
    );
    let ran = suite.run(["--exact", "commands::fails"]);
    let (_, report) = ran.stdout.split_once("\n  output:\n").unwrap();
    let (output, _) = report.split_once("\n  kept:\n").unwrap();
    let is_prefixed = |line: &str| line.starts_with("    | ");
    assert!(output.lines().all(is_prefixed), "{output}");
    assert!(
        ran.stdout
            .contains("failed: text\n    | ::stop-commands::x\n"),
        "{}",
        ran.stdout
    );
    let record = &ran.records["commands::fails"];
    assert!(record.output.text.contains("\n::stop-commands::x\n"));
}
