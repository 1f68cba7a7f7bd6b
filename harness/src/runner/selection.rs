//! Which tests run: by name, by tag, by expression.

use crate::registration::TestCase;
use crate::runner::cli::Options;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The tests of a binary, divided by what was asked for.
#[derive(Debug)]
pub(crate) struct Selection {
    /// Those to run, by name.
    pub(crate) selected: Vec<&'static TestCase>,
    /// All others, by name.
    pub(crate) deselected: Vec<&'static TestCase>,
    /// What was asked for by exact name and does not exist or is deselected by another flag, each with a hint.
    pub(crate) missing: Vec<String>,
    /// What was probably not meant so.
    pub(crate) warnings: Vec<String>,
}

impl Selection {
    /// Divides `tests` by the filters, tags and expressions of `options`.
    pub(crate) fn new(tests: Vec<&'static TestCase>, options: &Options) -> Self {
        let warnings = misspelt_tags(&tests, options);
        let mut missing = Vec::new();
        if options.libtest.exact {
            for name in options.filters() {
                match tests.iter().find(|test| test.name() == name) {
                    None => {
                        let names = tests.iter().map(|test| test.name());
                        missing.push(format!(
                            "no test is called `{name}`{}",
                            suggestion(name, names)
                        ));
                    }
                    Some(test) if !is_selected(test, options) => {
                        missing.push(format!("`{name}` is left out by another option"));
                    }
                    Some(_) => {}
                }
            }
        }
        let (selected, deselected) = tests
            .into_iter()
            .partition(|test| is_selected(test, options));
        Self {
            selected,
            deselected,
            missing,
            warnings,
        }
    }
}

impl Selection {
    /// All tests, selected or not.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static TestCase> {
        self.selected.iter().chain(&self.deselected).copied()
    }

    /// Deselects those of the selected tests for which this holds.
    pub(crate) fn leave_out(&mut self, is_out: impl Fn(&TestCase) -> bool) {
        let selected = std::mem::take(&mut self.selected);
        let (out, selected) = selected.into_iter().partition(|test| is_out(test));
        self.selected = selected;
        let out: Vec<&'static TestCase> = out;
        self.deselected.extend(out);
        self.deselected.sort_by_key(|test| test.name());
    }
}

fn is_selected(test: &TestCase, options: &Options) -> bool {
    let matches = |filter: &str| {
        if options.libtest.exact {
            test.name() == filter
        } else {
            test.name().contains(filter)
        }
    };
    let mut filters = options.filters().peekable();
    let named = filters.peek().is_none() || filters.any(matches);
    let tagged = options.tags.is_empty() || options.tags.iter().any(|tag| test.has_tag(tag));
    let marked = options
        .markers
        .as_ref()
        .is_none_or(|marker| marker.matches(test.tags()));
    let skipped = options.libtest.skip.iter().any(|skip| matches(skip))
        || options.skip_tags.iter().any(|tag| test.has_tag(tag))
        // libtest's `--ignored` runs nothing but ignored tests, of which there are none here.
        || options.libtest.ignored;
    named && tagged && marked && !skipped
}

/// A warning for each tag that was asked for and that no test has.
fn misspelt_tags(tests: &[&'static TestCase], options: &Options) -> Vec<String> {
    let known: BTreeSet<&str> = tests.iter().flat_map(|test| test.tags()).copied().collect();
    let mut asked: BTreeSet<&str> = options
        .tags
        .iter()
        .chain(&options.skip_tags)
        .map(String::as_str)
        .collect();
    if let Some(marker) = &options.markers {
        asked.extend(marker.tags());
    }
    asked
        .difference(&known)
        .map(|tag| {
            let mut warning = format!(
                "no test has the tag `{tag}`{}",
                suggestion(tag, known.iter().copied())
            );
            let _ = if known.is_empty() {
                write!(warning, "; no test has any tag")
            } else {
                let known: Vec<_> = known.iter().copied().collect();
                write!(warning, "; the tags are: {}", known.join(", "))
            };
            warning
        })
        .collect()
}

/// How alike two names must be for one to be offered for the other; 1 is equal (Jaro–Winkler).
const ALIKE: f64 = 0.8;

/// `: did you mean …?`, or nothing when no name comes close.
fn suggestion<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}
