//! The registry of chaos tests: `#[chaos]` submits one [`TestCase`] per function, and the linker
//! collects the submitted tests.

pub(crate) mod oracles;
pub(crate) mod origin;

use clarity_chaos_record::{ClockKind, Limits, Seed};
use std::any::Any;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

/// The body of a test. Its concrete type is `test::body::Body`. Only the process that runs the test
/// uses the concrete type.
pub(crate) type TestBody = dyn Any + Send + Sync;

/// A registered test, as declared by its `#[chaos]` attribute.
pub struct TestCase {
    path: &'static str,
    seed_name: Option<&'static str>,
    tags: &'static [&'static str],
    description: &'static str,
    timeout: Option<Duration>,
    clock: ClockKind,
    limits: Limits,
    file: &'static str,
    line: u32,
    column: u32,
    body: &'static TestBody,
}

inventory::collect!(TestCase);

/// The tag of tests that must change nothing outside their own directory.
pub(crate) const NON_DESTRUCTIVE: &str = "non_destructive";

/// Constructors for the code that `#[chaos]` generates; not public API.
impl TestCase {
    /// Declares a test with a real clock, the default timeout, and no tags or limits.
    #[must_use]
    pub const fn new(
        path: &'static str,
        description: &'static str,
        file: &'static str,
        line: u32,
        body: &'static TestBody,
    ) -> Self {
        Self {
            path,
            seed_name: None,
            tags: &[],
            description,
            timeout: None,
            clock: ClockKind::Real,
            limits: Limits::NONE,
            file,
            line,
            column: 1,
            body,
        }
    }

    /// Sets the column of the test's attribute, counted from 1.
    #[must_use]
    pub const fn with_column(mut self, column: u32) -> Self {
        self.column = column;
        self
    }

    /// Sets the test's tags.
    #[must_use]
    pub const fn with_tags(mut self, tags: &'static [&'static str]) -> Self {
        self.tags = tags;
        self
    }

    /// Sets the test's timeout, in real time.
    #[must_use]
    pub const fn with_timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets the test's clock.
    #[must_use]
    pub const fn with_clock(mut self, clock: ClockKind) -> Self {
        self.clock = clock;
        self
    }

    /// Sets [`Limits::memory_bytes`].
    #[must_use]
    pub const fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.limits.memory_bytes = Some(bytes);
        self
    }

    /// Sets [`Limits::open_files`].
    #[must_use]
    pub const fn with_open_files_limit(mut self, count: u64) -> Self {
        self.limits.open_files = Some(count);
        self
    }

    /// Sets [`Limits::cpu_s`].
    #[must_use]
    pub const fn with_cpu_limit(mut self, seconds: u64) -> Self {
        self.limits.cpu_s = Some(seconds);
        self
    }

    /// Sets the name that the test's seed is derived from.
    #[must_use]
    pub const fn with_seed_name(mut self, name: &'static str) -> Self {
        self.seed_name = Some(name);
        self
    }
}

impl TestCase {
    /// The name that selects the test: the function's path inside its crate, such as
    /// `corruption::one_flipped_bit`.
    pub(crate) fn name(&self) -> &'static str {
        self.path
            .split_once("::")
            .map_or(self.path, |(_crate, rest)| rest)
    }

    /// The name that the test's seed is derived from: the declared `seed_name`, or else the test's
    /// name.
    pub(crate) fn seed_name(&self) -> &'static str {
        self.seed_name.unwrap_or_else(|| self.name())
    }

    /// Derives the test's seed from the root seed.
    pub(crate) fn seed(&self, root: Seed) -> Seed {
        root.child("test", self.seed_name())
    }

    /// The path of the test's function, including the crate.
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }

    /// The path of the test's module, including the crate: `chaos::corruption`.
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

    /// The description of the failure scenario that the test covers.
    pub(crate) fn description(&self) -> &'static str {
        self.description
    }

    /// The timeout that the test declares, in real time; `None` if the test declares no timeout.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(crate) fn clock(&self) -> ClockKind {
        self.clock
    }

    /// The limits that the test declares.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The source file, as passed to the compiler, and the line and column of the test's attribute.
    pub(crate) fn location(&self) -> (&'static str, u32, u32) {
        (self.file, self.line, self.column)
    }

    pub(crate) fn body(&self) -> &'static TestBody {
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

/// Returns all registered tests, sorted by name. The order in which the linker collects tests is
/// not defined.
pub(crate) fn all() -> Vec<&'static TestCase> {
    let mut tests: Vec<_> = inventory::iter::<TestCase>.into_iter().collect();
    tests.sort_by_key(|test| test.name());
    tests
}

/// Finds the test whose path, including the crate, is `path`.
pub(crate) fn find(path: &str) -> Option<&'static TestCase> {
    // Searches a sorted list instead of a hash map. A hash map would draw random keys for this
    // thread, and every forked child would inherit these keys.
    static BY_PATH: LazyLock<Vec<&'static TestCase>> = LazyLock::new(|| {
        let mut tests: Vec<_> = inventory::iter::<TestCase>.into_iter().collect();
        tests.sort_by_key(|test| test.path);
        tests
    });
    let found = BY_PATH.binary_search_by_key(&path, |test| test.path);
    found.ok().map(|index| BY_PATH[index])
}

/// Checks `tests`, which must be sorted by name. Returns errors for tests with the same name. Also
/// returns errors for tests with different names but the same seed name.
///
/// Two tests with one name could not be selected separately. Two tests with one seed name would
/// draw the same faults.
pub(crate) fn duplicates(tests: &[&TestCase]) -> Vec<String> {
    let mut errors = Vec::new();
    for pair in tests.windows(2) {
        let name = pair[0].name();
        if name == pair[1].name() {
            let locations = locations(pair[0], pair[1]);
            errors.push(format!(
                "two tests have the name `{name}`: {locations}. Rename one"
            ));
        }
    }
    let mut by_seed_name = tests.to_vec();
    by_seed_name.sort_by_key(|test| test.seed_name());
    for pair in by_seed_name.windows(2) {
        let seed_name = pair[0].seed_name();
        if seed_name == pair[1].seed_name() && pair[0].name() != pair[1].name() {
            let (name, other) = (pair[0].name(), pair[1].name());
            let locations = locations(pair[0], pair[1]);
            errors.push(format!(
                "the tests `{name}` and `{other}` derive their seeds from the same name `{seed_name}`: {locations}. \
                 Remove or change `seed_name` of one"
            ));
        }
    }
    errors
}

/// Formats the locations of two tests: `FILE:LINE and FILE:LINE`.
fn locations(a: &TestCase, b: &TestCase) -> String {
    let [(file, line, _), (other_file, other_line, _)] = [a.location(), b.location()];
    format!("{file}:{line} and {other_file}:{other_line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn test_at(path: &'static str, line: u32) -> TestCase {
        TestCase::new(path, "A scenario.", "tests.rs", line, &())
    }

    #[test]
    fn seed_name_undeclared_is_the_name() {
        let test = test_at("chaos::a::b", 1);
        assert_eq!(test.seed_name(), "a::b");
        assert_eq!(test.with_seed_name("old").seed_name(), "old");
    }

    #[test]
    fn duplicates_distinct_derivations_are_accepted() {
        // Two tests that have exchanged their names can keep their seeds.
        let a = test_at("chaos::a", 1).with_seed_name("b");
        let b = test_at("chaos::b", 2).with_seed_name("a");
        assert_eq!(duplicates(&[&a, &b]), Vec::<String>::new());
    }

    #[test]
    fn duplicates_same_name_is_refused() {
        let (a, b) = (test_at("one::a", 1), test_at("other::a", 2));
        assert_eq!(
            duplicates(&[&a, &b]),
            ["two tests have the name `a`: tests.rs:1 and tests.rs:2. Rename one"]
        );
    }

    #[test]
    fn duplicates_same_seed_name_is_refused() {
        let renamed = test_at("chaos::renamed", 3).with_seed_name("old");
        for other in [
            test_at("chaos::zzz", 4).with_seed_name("old"),
            test_at("chaos::old", 4),
        ] {
            let mut tests = [&renamed, &other];
            tests.sort_by_key(|test| test.name());
            let errors = duplicates(&tests);
            let [error] = errors.as_slice() else {
                panic!("expected one error, found {errors:?}");
            };
            assert!(error.contains("from the same name `old`"), "{error}");
            assert!(error.contains("tests.rs:3"), "{error}");
            assert!(error.contains("tests.rs:4"), "{error}");
        }
    }
}
