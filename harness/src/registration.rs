//! What `#[chaos]` leaves behind for the runner: one [`TestCase`] per function, collected at link time.

pub(crate) mod oracles;
pub(crate) mod origin;

use crate::test::context::Context;
use crate::test::outcome::Outcome;
use clarity_chaos_record::{ClockKind, Limits};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::time::Duration;

/// The body of a test, as the macro wraps it.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Runs on the test's thread.
    Sync(fn(Context) -> Outcome),
    /// Runs on a Tokio runtime made for the test.
    Async(fn(Context) -> Pin<Box<dyn Future<Output = Outcome>>>),
}

/// One registered test: everything known about it before it runs.
pub struct TestCase {
    path: &'static str,
    tags: &'static [&'static str],
    description: &'static str,
    timeout: Option<Duration>,
    clock: ClockKind,
    limits: Limits,
    file: &'static str,
    line: u32,
    body: Body,
}

inventory::collect!(TestCase);

/// The tag of tests that must leave nothing changed outside their own directory.
pub(crate) const NON_DESTRUCTIVE: &str = "non_destructive";

impl TestCase {
    /// Not public API: called by the code that `#[chaos]` generates.
    #[expect(
        clippy::too_many_arguments,
        reason = "called by generated code alone, and must be const"
    )]
    pub const fn new(
        path: &'static str,
        tags: &'static [&'static str],
        description: &'static str,
        timeout: Option<Duration>,
        clock: ClockKind,
        limits: Limits,
        file: &'static str,
        line: u32,
        body: Body,
    ) -> Self {
        Self {
            path,
            tags,
            description,
            timeout,
            clock,
            limits,
            file,
            line,
            body,
        }
    }

    /// The name to select by: the function's path inside its crate, such as `corruption::one_flipped_bit`.
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .split_once("::")
            .map_or(self.path, |(_crate, rest)| rest)
    }

    /// The path of the function, with its crate.
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// The module of the test, with its crate: `chaos::corruption`.
    pub(crate) fn module(&self) -> &'static str {
        self.path
            .rsplit_once("::")
            .map_or(self.path, |(module, _function)| module)
    }

    pub(crate) fn tags(&self) -> &'static [&'static str] {
        self.tags
    }

    pub(crate) fn has_tag(&self, tag: &str) -> bool {
        self.tags.contains(&tag)
    }

    /// The doc comment.
    pub(crate) fn description(&self) -> &'static str {
        self.description
    }

    /// The test's own limit of real time, if it declares one.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn clock(&self) -> ClockKind {
        self.clock
    }

    /// What it may use.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The source file, as the compiler was given it, and the line of the attribute.
    pub(crate) fn location(&self) -> (&'static str, u32) {
        (self.file, self.line)
    }

    pub(crate) fn body(&self) -> Body {
        self.body
    }
}

impl fmt::Debug for TestCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCase")
            .field("path", &self.path)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// All registered tests, sorted by name: the order of collection is the linker's and means nothing.
pub(crate) fn all() -> Vec<&'static TestCase> {
    let mut tests: Vec<_> = inventory::iter::<TestCase>.into_iter().collect();
    tests.sort_by_key(|test| test.name());
    tests
}

/// The test at exactly this path.
pub(crate) fn find(path: &str) -> Option<&'static TestCase> {
    // Sorted, and no hash map: its keys, once drawn, would be the same in every fork of this process.
    static BY_PATH: LazyLock<Vec<&'static TestCase>> = LazyLock::new(|| {
        let mut tests: Vec<_> = inventory::iter::<TestCase>.into_iter().collect();
        tests.sort_by_key(|test| test.path);
        tests
    });
    let place = BY_PATH.binary_search_by_key(&path, |test| test.path);
    place.ok().map(|place| BY_PATH[place])
}

/// An error for each name that more than one of the tests (sorted by name) has: only one of them could be run by it.
pub(crate) fn duplicates(tests: &[&TestCase]) -> Vec<String> {
    let pairs = tests
        .windows(2)
        .filter(|pair| pair[0].name() == pair[1].name());
    pairs
        .map(|pair| {
            let [(file, line), (other_file, other_line)] = [pair[0].location(), pair[1].location()];
            format!(
                "two tests are called `{}`: {file}:{line} and {other_file}:{other_line}; rename one",
                pair[0].name()
            )
        })
        .collect()
}
