//! A flood of output or of error text stays bounded, and the report says what is missing.

use crate::suite;
use clarity_chaos::Verdict;

const MIB: u64 = 1 << 20;

#[test]
fn gibibyte_of_output_is_bounded_on_disk_while_it_comes() {
    let suite = suite();
    let ran = suite.run(["--exact", "floods::prints_a_gibibyte"]);
    let record = &ran.records["floods::prints_a_gibibyte"];
    let message = "after a gibibyte".to_owned();
    assert_eq!(record.verdict, Verdict::Failed { message });
    let output = &record.output;
    assert!(output.total_bytes > 1024 * MIB, "{}", output.total_bytes);
    assert_eq!(output.omitted_bytes, output.total_bytes - 4 * MIB);
    assert!(output.text.starts_with("the first line\nxxx"));
    assert!(output.text.ends_with("xxx\nthe last line\n"));
    assert!(!output.text.contains('\0'));
    let sentence = format!(
        "output (the end of {} bytes; the record has all but {} bytes from the middle)",
        output.total_bytes, output.omitted_bytes
    );
    assert!(ran.stdout.contains(&sentence), "{}", ran.stdout);
    let kept = record.kept_dir.as_ref().unwrap().join("output");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), output.text);
}

/// A reader of `--nocapture` gets each byte, although the harness bounds the file.
#[test]
fn shown_output_has_each_line_of_a_flood() {
    let suite = suite();
    let test = "floods::prints_numbered_lines";
    let ran = suite.run(["--exact", test, "--nocapture"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let numbers = ran
        .stdout
        .lines()
        .filter_map(|line| line.trim().parse::<u64>().ok());
    assert!(numbers.eq(0..1 << 20), "a line is missing or damaged");
}

#[test]
fn error_text_of_megabytes_is_whole_only_in_the_record() {
    let suite = suite();
    let test = "floods::fails_at_length";
    let mut command = suite.command();
    command
        .args(["--exact", test])
        .env("GITHUB_ACTIONS", "true");
    let ran = suite.run_command(&mut command);
    let length = ran.stdout.len() + ran.stderr.len();
    assert!(length < 100_000, "{length} bytes");
    assert!(
        ran.stdout.contains("failed: the start é é"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("é  the end"), "{}", ran.stdout);
    assert!(
        ran.stdout
            .contains("bytes are omitted here; the record has all of them"),
        "{}",
        ran.stdout
    );
    let Verdict::Failed { message } = &ran.records[test].verdict else {
        panic!("{:?}", ran.records[test].verdict);
    };
    assert_eq!(message.len(), 18 + 6_000_000);
    let json = suite.run(["--exact", test, "--format", "json"]);
    assert!(json.stdout.len() < 100_000, "{} bytes", json.stdout.len());
}
