//! What GitHub shows of a run: annotations at the lines of failed tests, and a summary of the job.
//!
//! Annotations are workflow commands on standard output, the summary is appended to the file that `GITHUB_STEP_SUMMARY` names:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use crate::failure::flaky;
use crate::hints::hints;
use crate::picture::picture;
use crate::summary::Summary;
use clarity_chaos_record::{Record, Verdict};
use std::fmt::Write as _;

/// How many annotations GitHub takes of a step.
const ANNOTATIONS: usize = 10;

/// How many failures the summary tells in full. GitHub takes a mebibyte of a step.
const TOLD: usize = 20;

/// How long a message in the summary may be, in characters.
const MESSAGE: usize = 4000;

/// The workflow commands that annotate the lines of failed tests, at most 10: GitHub shows no more for a step.
///
/// Each is one line for standard output.
#[must_use]
pub fn annotations(run: &Summary<'_>) -> Vec<String> {
    let failures = run
        .records
        .iter()
        .filter(|record| record.verdict.is_failure());
    failures.take(ANNOTATIONS).map(annotation).collect()
}

/// The workflow command that puts the failure at the line of its test.
fn annotation(record: &Record) -> String {
    let Record { file, line, .. } = record;
    format!(
        "::error file={},line={line},title={}::{}",
        property(file),
        property(&format!("{} (seed {})", record.name, record.root_seed)),
        data(&format!("{}\nagain: {}", record.verdict, record.replay)),
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The run in Markdown, for the file that `GITHUB_STEP_SUMMARY` names.
#[must_use]
pub fn job_summary(run: &Summary<'_>) -> String {
    let of = |is: fn(&Verdict) -> bool| {
        let verdicts = run.records.iter().map(|record| &record.verdict);
        verdicts.filter(|verdict| is(verdict)).count()
    };
    let failed = of(Verdict::is_failure);
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped { .. }));
    let passed = run.records.len() - failed - skipped;
    let mark = match failed + run.unmet.len() {
        0 => "✅",
        _ => "❌",
    };
    let mut text = format!(
        "## {mark} {}\n\n| failed | passed | skipped | time | seed |\n|---|---|---|---|---|\n| {failed} | {passed} | {skipped} | {:.1} s | `{}` |\n",
        run.suite,
        run.took.as_secs_f64(),
        run.seed,
    );
    if let Some(results) = run.sweep {
        let _ = writeln!(text, "\nA sweep over the seeds {}.", results.seeds);
    }
    for record in run.records.iter().filter(|record| record.is_flaky()) {
        let _ = writeln!(text, "\n- ⚠️ {}", inline(&flaky(record)));
    }
    for unmet in run.unmet {
        let _ = writeln!(text, "\n- {}", inline(unmet));
    }
    let failures = run
        .records
        .iter()
        .filter(|record| record.verdict.is_failure());
    for record in failures.clone().take(TOLD) {
        failure(&mut text, record);
    }
    if let Some(more) = failures.count().checked_sub(TOLD).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n… and {more} more failures.");
    }
    text
}

fn failure(text: &mut String, record: &Record) {
    let message: String = record.verdict.to_string().chars().take(MESSAGE).collect();
    let _ = write!(
        text,
        "\n<details open><summary><strong>{}</strong></summary>\n\n{}\n\n{}",
        inline(&record.name),
        inline(&record.description),
        fenced(&message),
    );
    if let Some(least) = &record.minimized {
        let _ = write!(text, "\n**{}**\n", inline(&least.sentence));
    }
    for hint in hints(record) {
        let _ = write!(text, "\n> {}\n", inline(&hint));
    }
    let picture = picture(record);
    if !picture.is_empty() {
        let _ = write!(text, "\n{}", fenced(&picture));
    }
    let _ = write!(text, "\nAgain: `{}`\n\n</details>\n", record.replay);
}

/// A block of plain text, with a fence that is longer than any in it.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{text}\n{fence}\n")
}

/// Text that is no markup.
fn inline(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        if matches!(
            character,
            '<' | '&' | '*' | '_' | '`' | '[' | ']' | '|' | '\\' | '#'
        ) {
            let _ = write!(plain, "&#{};", u32::from(character));
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_the_command_that_it_stands_in() {
        assert_eq!(property("a:b,c%\nd"), "a%3Ab%2Cc%25%0Ad");
        assert_eq!(data("a:b,c%\r\n"), "a:b,c%25%0D%0A");
        assert_eq!(fenced("```"), "````text\n```\n````\n");
        assert_eq!(inline("<b>|*"), "&#60;b>&#124;&#42;");
    }
}
