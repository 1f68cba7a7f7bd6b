//! Selects tests by name, tag and tag expression.

use crate::registration::TestCase;
use crate::runner::cli::Options;
use crate::runner::suggestion::suggestion;
use clarity_chaos_record::Seed;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The tests of a binary, divided into selected and deselected tests.
#[derive(Debug)]
pub(crate) struct Selection {
    /// The tests to run, sorted by name unless `--failed-first` or `--shuffle` changes the order.
    pub(crate) selected: Vec<&'static TestCase>,
    /// The tests that are not selected, sorted by name.
    pub(crate) deselected: Vec<&'static TestCase>,
    /// With `--exact`: a message for each FILTER that names an unknown test, or a test that another
    /// option deselects.
    pub(crate) missing: Vec<String>,
    /// Warnings about likely mistakes on the command line.
    pub(crate) warnings: Vec<String>,
}

impl Selection {
    /// Selects the tests that match the filters, tags and tag expression of `options`.
    pub(crate) fn new(tests: Vec<&'static TestCase>, options: &Options) -> Self {
        let warnings = unknown_tags(&tests, options);
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
                        missing.push(format!("another option deselects `{name}`"));
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
    /// Returns all tests, the selected ones first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static TestCase> {
        self.selected.iter().chain(&self.deselected).copied()
    }

    /// Puts the selected tests in the random order of `seed`. The order of two tests does not
    /// depend on the selection.
    pub(crate) fn shuffle(&mut self, seed: u64) {
        let place = |test: &TestCase| Seed::new(seed).child("order", test.name()).get();
        self.selected.sort_by_key(|test| place(test));
    }

    /// Moves the selected tests that are in `names` before the others.
    pub(crate) fn put_first<T>(&mut self, names: &BTreeMap<String, T>) {
        let is_later = |test: &&TestCase| !names.contains_key(test.name());
        self.selected.sort_by_key(is_later);
    }

    /// Deselects each selected test for which `is_out` returns `true`.
    pub(crate) fn deselect(&mut self, is_out: impl Fn(&TestCase) -> bool) {
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
    let satisfies = options
        .tag_expr
        .as_ref()
        .is_none_or(|tag_expr| tag_expr.matches(test.tags()));
    let skipped = options.libtest.skip.iter().any(|skip| matches(skip))
        || options.skip_tags.iter().any(|tag| test.has_tag(tag))
        // With `--ignored`, libtest runs only ignored tests, and no chaos test is ignored.
        || options.libtest.ignored;
    named && tagged && satisfies && !skipped
}

/// Returns a warning for each tag in `options` that no test has.
fn unknown_tags(tests: &[&'static TestCase], options: &Options) -> Vec<String> {
    let known: BTreeSet<&str> = tests.iter().flat_map(|test| test.tags()).copied().collect();
    let mut asked: BTreeSet<&str> = options
        .tags
        .iter()
        .chain(&options.skip_tags)
        .map(String::as_str)
        .collect();
    if let Some(tag_expr) = &options.tag_expr {
        asked.extend(tag_expr.tags());
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
