//! Reports for GitHub Actions: annotations at the lines of failed tests, and a summary of the job.
//!
//! Annotations are workflow commands on standard output. The summary is appended to the file that
//! `GITHUB_STEP_SUMMARY` names. Both are documented in
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use crate::excerpt::excerpt;
use crate::failure::render_flaky;
use crate::hints::hints;
use crate::picture::render_picture;
use crate::state_changes::SharedFields;
use crate::summary::Summary;
use clarity_chaos_record::{Record, Verdict};
use std::fmt::Write as _;

/// The maximum number of error annotations that GitHub shows for a step.
const ANNOTATIONS: usize = 10;

/// The maximum number of failures that the summary describes.
// The limit keeps the summary small: GitHub accepts at most 1 MiB of summary from a step.
const FULL_FAILURES: usize = 20;

/// The maximum length of a failure's message in the summary, in characters.
const MESSAGE: usize = 4000;

/// Returns workflow commands that annotate the lines of failed tests. Each command is one line for
/// standard output.
///
/// Only the first 10 failures get a command: GitHub shows no more annotations for a step.
#[must_use]
pub fn annotations(run: &Summary<'_>) -> Vec<String> {
    failures(run).take(ANNOTATIONS).map(annotation).collect()
}

/// The failed tests, and the failed set-up or tear-down.
fn failures<'a>(run: &Summary<'a>) -> impl Iterator<Item = &'a Record> + Clone {
    let records = run.records.iter().chain(run.fixtures);
    records.filter(|record| record.verdict.is_failure())
}

/// Returns the workflow command that shows a failure at the line of the failed test.
fn annotation(record: &Record) -> String {
    let Record { file, line, .. } = record;
    format!(
        "::error file={},line={line},title={}::{}",
        property(file),
        property(&format!("{} (seed {})", record.name, record.root_seed)),
        data(&format!(
            "{}\nagain{}: {}",
            excerpt(&record.verdict.to_string()),
            match record.unrepeated {
                Some(_) => " (a second run with this seed did not fail in the same way)",
                None => "",
            },
            record.replay_command
        )),
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

/// Renders a run in Markdown, for the file that `GITHUB_STEP_SUMMARY` names.
///
/// The text describes the first 20 failures, and counts the others.
#[must_use]
pub fn job_summary(run: &Summary<'_>) -> String {
    let of = |is: fn(&Verdict) -> bool| {
        let verdicts = run.records.iter().map(|record| &record.verdict);
        verdicts.filter(|verdict| is(verdict)).count()
    };
    let failed = of(Verdict::is_failure);
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped { .. }));
    let passed = run.records.len() - failed - skipped;
    let failed_fixtures = failures(run).count() - failed;
    let mark = match failed + failed_fixtures + run.unmet.len() {
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
        let _ = writeln!(text, "\n- ⚠️ {}", inline(&render_flaky(record)));
    }
    for unmet in run.unmet {
        let _ = writeln!(text, "\n- {}", inline(unmet));
    }
    let failures = failures(run);
    let shared = SharedFields::of(run.records);
    for record in failures.clone().take(FULL_FAILURES) {
        add_failure(&mut text, record, &shared);
    }
    if let Some(more) = failures
        .count()
        .checked_sub(FULL_FAILURES)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(text, "\n… and {more} more failures.");
    }
    text
}

/// Adds the description of a failed test, with a picture of the timeline.
fn add_failure(text: &mut String, record: &Record, shared: &SharedFields<'_>) {
    let message: String = record.verdict.to_string().chars().take(MESSAGE).collect();
    let _ = write!(
        text,
        "\n<details open><summary><strong>{}</strong></summary>\n\n{}\n\n{}",
        inline(&record.name),
        inline(&record.description),
        fenced(&message),
    );
    if let Some(least) = &record.minimized {
        let _ = write!(text, "\n**{}**\n", inline(&least.description));
    }
    for hint in hints(record) {
        let _ = write!(text, "\n> {}\n", inline(&hint));
    }
    let picture = render_picture(record, shared);
    if !picture.is_empty() {
        let _ = write!(text, "\n{}", fenced(&picture));
    }
    let _ = write!(text, "\nAgain: `{}`\n\n</details>\n", record.replay_command);
}

/// Returns a code block with the text. The fence is longer than every fence inside the text.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{text}\n{fence}\n")
}

/// Escapes the characters that Markdown treats as markup.
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
    fn special_characters_are_escaped_in_each_form() {
        assert_eq!(property("a:b,c%\nd"), "a%3Ab%2Cc%25%0Ad");
        assert_eq!(data("a:b,c%\r\n"), "a:b,c%25%0D%0A");
        assert_eq!(fenced("```"), "````text\n```\n````\n");
        assert_eq!(inline("<b>|*"), "&#60;b>&#124;&#42;");
    }
}
