//! A replay: the tests of a recording run again, each with its recorded seed.

use super::archive::Archive;
use super::case_comparison::CaseComparison;
use super::fingerprint::Fingerprint;
use super::manifest::RecordedCase;
use super::unpacking::{Unpacked, unpack};
use crate::registration::TestCase;
use crate::registration::origin::Origin;
use crate::runner::cli::Options;
use crate::runner::history::REMEDY;
use crate::runner::selection::Selection;
use crate::runner::standard_streams::{print, print_error};
use clarity_chaos_record::{Record, Seed};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The recording that this run replays.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The file's path, for messages.
    file: String,
    archive: Archive,
    /// The settings that differ from the recorded ones, a line for each.
    settings: Vec<String>,
    /// The selected cases, by the names that their tests have here.
    cases: BTreeMap<&'static str, RecordedCase>,
    /// The recorded tests that the filters select, and that no longer exist.
    missing: Vec<String>,
}

impl Replay {
    /// Reads a recording. Sets the options that the user has not given to the recorded settings.
    ///
    /// # Errors
    ///
    /// When the file is not a recording, or is damaged.
    pub(crate) fn read(path: &Path, options: &mut Options) -> Result<Self, String> {
        let file = path.display().to_string();
        let archive = Archive::read(path).map_err(|error| format!("--replay {file}: {error}"))?;
        Ok(Self {
            file,
            settings: archive.manifest.settings.apply(options),
            archive,
            cases: BTreeMap::new(),
            missing: Vec::new(),
        })
    }

    /// Deselects the tests that are not in the recording. Finds a renamed test by its `seed_name`.
    pub(crate) fn select(&mut self, selection: &mut Selection, options: &Options) {
        let tests: Vec<&'static TestCase> = selection.all().collect();
        let (cases, missing) = assign(&self.archive.manifest.cases, &tests);
        self.cases = cases;
        let missing = missing.into_iter();
        self.missing = missing.filter(|name| is_selected(name, options)).collect();
        selection.deselect(|test| !self.cases.contains_key(test.name()));
        let selected = |name: &str| selection.selected.iter().any(|test| test.name() == name);
        self.cases.retain(|name, _| selected(name));
    }

    /// Returns the seed of a test in the recording.
    pub(crate) fn seed_of(&self, test: &TestCase) -> Option<Seed> {
        self.cases.get(test.name()).map(|case| case.root_seed)
    }

    /// Returns the root seed of the recorded run.
    pub(crate) fn root_seed(&self) -> Seed {
        self.archive.manifest.root_seed
    }

    /// Whether all selected tests of the recording exist.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Prints the differences from the recorded run. Unpacks the kept directories into a directory
    /// below `parent`, and prints their places.
    pub(crate) fn announce(&mut self, origin: &Origin, parent: &Path, to_stderr: bool) {
        let manifest = &self.archive.manifest;
        let (recorded, here) = (&manifest.fingerprint, Fingerprint::of_this_process(origin));
        let line = |text: String| match to_stderr {
            true => print_error(format_args!("{}", visible(&text))),
            false => print(format_args!("{}", visible(&text))),
        };
        let plural = if manifest.cases.len() == 1 { "" } else { "s" };
        line(format!(
            "replay of {}: {} test{plural}, recorded at {} with seed {}",
            self.file,
            manifest.cases.len(),
            manifest.recorded_at,
            manifest.root_seed
        ));
        if manifest.is_interrupted {
            line("    the recorded run was interrupted".to_owned());
        }
        let differences = recorded.differences(&here);
        let mut differences = differences.iter().chain(&self.settings).peekable();
        let has_same_binary = recorded.has_same_binary(&here);
        if has_same_binary && differences.peek().is_none() {
            line("    same binary, machine, environment and settings".to_owned());
        }
        for difference in differences {
            line(format!("    differs: {difference}"));
        }
        for left_out in &manifest.left_out {
            let (path, reason) = (&left_out.path, &left_out.reason);
            line(format!("    not recorded: {path}: {reason}"));
        }
        if !has_same_binary {
            print_error(format_args!(
                "warning: THIS IS NOT THE RECORDED BINARY: its tests of the same names run, which may do \
                 something else\n    recorded: {}\n    here:     {}",
                visible(&recorded.binary_text()),
                here.binary_text()
            ));
        }
        for name in &self.missing {
            print_error(format_args!(
                "error: --replay: no test is called `{}` here",
                visible(name)
            ));
        }
        self.announce_directories(parent, &line);
        // The memory of this process is also that of forked tests.
        self.archive.bytes = Vec::new();
    }

    fn announce_directories(&self, parent: &Path, line: &dyn Fn(String)) {
        let mut cases = self.cases.values();
        if cases.all(|case| case.directories.is_empty()) {
            return;
        }
        match unpack(&self.archive, parent) {
            Ok(Unpacked { path, left_out }) => {
                for case in self.cases.values() {
                    for directory in &case.directories {
                        let place = path.join(&directory.member);
                        line(format!(
                            "    kept by {}: {} (recorded as {})",
                            case.name,
                            place.display(),
                            directory.original
                        ));
                    }
                }
                for link in left_out {
                    let link = link.display();
                    line(format!(
                        "    not unpacked: {link}: this system has no such symlinks"
                    ));
                }
            }
            Err(error) => print_error(format_args!(
                "warning: the kept directories were not unpacked into {}: {error}; {REMEDY}",
                parent.display()
            )),
        }
    }

    /// Compares each selected case with its recorded case. `records` are the records of this run.
    pub(crate) fn compare(&self, records: &[Record]) -> String {
        let mut text = format!("\nreplay of {}:\n", self.file);
        let (mut same, mut all) = (0, self.missing.len());
        for (name, case) in &self.cases {
            all += 1;
            let now = records.iter().find(|record| record.name == *name);
            let recorded = case.record.as_ref();
            let recorded = recorded.and_then(|member| self.archive.records.get(member));
            let line = match now.map(|now| (CaseComparison::new(case, recorded, now), now)) {
                Some((CaseComparison::Same, now)) => {
                    same += 1;
                    format!("same       {name}: {}", now.verdict.kind())
                }
                Some((CaseComparison::OtherFaults(difference), now)) => {
                    let verdict = now.verdict.kind();
                    format!(
                        "DIFFERENT  {name}: {verdict} as recorded, but with other faults: {difference}"
                    )
                }
                Some((CaseComparison::OtherVerdict(difference), _)) => {
                    format!("DIFFERENT  {name}: {difference}")
                }
                None => format!("not run    {name}: the run ended before"),
            };
            let _ = writeln!(text, "    {}", visible(&line));
        }
        for name in &self.missing {
            let name = visible(name);
            let _ = writeln!(text, "    not run    {name}: no test has this name");
        }
        let _ = writeln!(text, "{same} of {all} recorded tests ended as recorded");
        text
    }
}

/// Assigns each recorded case to a test, by the test's name or else by its `seed_name`. Also
/// returns the names without a test.
fn assign(
    cases: &[RecordedCase],
    tests: &[&'static TestCase],
) -> (BTreeMap<&'static str, RecordedCase>, Vec<String>) {
    let (mut assigned, mut missing) = (BTreeMap::new(), Vec::new());
    let mut renamed = Vec::new();
    for case in cases {
        match tests.iter().find(|test| test.name() == case.name) {
            Some(test) => {
                assigned.insert(test.name(), case.clone());
            }
            None => renamed.push(case),
        }
    }
    for case in renamed {
        match tests.iter().find(|test| test.seed_name() == case.name) {
            Some(test) if !assigned.contains_key(test.name()) => {
                assigned.insert(test.name(), case.clone());
            }
            _ => missing.push(case.name.clone()),
        }
    }
    (assigned, missing)
}

/// Escapes control characters. The text of a recording could otherwise control the terminal.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => visible.extend(character.escape_default()),
            false => visible.push(character),
        }
    }
    visible
}

/// Whether the filters select a test of this name. A test that does not exist has no tags here.
fn is_selected(name: &str, options: &Options) -> bool {
    let matches = |filter: &str| match options.libtest.exact {
        true => name == filter,
        false => name.contains(filter),
    };
    let mut filters = options.filters().peekable();
    let named = filters.peek().is_none() || filters.any(matches);
    named && !options.libtest.skip.iter().any(|skip| matches(skip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assign_prefers_names_and_names_the_rest() {
        let test = |path| -> &'static TestCase {
            Box::leak(Box::new(TestCase::new(path, "A scenario.", "r.rs", 1, &())))
        };
        let renamed = TestCase::new("c::new", "A scenario.", "r.rs", 1, &()).with_seed_name("old");
        let tests = [test("c::same"), &*Box::leak(Box::new(renamed))];
        let case = |name: &str| RecordedCase {
            name: name.to_owned(),
            root_seed: Seed::new(1),
            verdict: "passed".to_owned(),
            record: None,
            directories: Vec::new(),
        };
        let assigned = |names: &[&str]| {
            let cases: Vec<RecordedCase> = names.iter().map(|name| case(name)).collect();
            let (assigned, missing) = assign(&cases, &tests);
            let assigned = assigned.into_iter().map(|(test, case)| (test, case.name));
            (assigned.collect::<Vec<_>>(), missing)
        };
        let pair = |test, case: &str| (test, case.to_owned());
        assert_eq!(
            assigned(&["old", "same", "gone"]),
            (
                vec![pair("new", "old"), pair("same", "same")],
                vec!["gone".to_owned()]
            )
        );
        // A test with the recorded name goes first. The former name has no test then.
        assert_eq!(
            assigned(&["old", "new"]),
            (vec![pair("new", "new")], vec!["old".to_owned()])
        );
    }

    #[test]
    fn visible_text_has_no_control_characters() {
        assert_eq!(
            visible("a\u{1b}[31m\nb\u{9b}\u{e4}"),
            "a\\u{1b}[31m\\nb\\u{9b}\u{e4}"
        );
    }
}
