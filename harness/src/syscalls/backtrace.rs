//! Searches the text of a backtrace for the places in the code that lead to a system call.

use crate::syscalls::code_location::CodeLocation;

/// The places in the code that lead to a system call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallSite {
    /// The innermost place outside of the standard library, of the harness and of wrappers of
    /// system calls.
    pub(crate) location: Option<CodeLocation>,
    /// Callers of `location` that the reader knows, from the inside out: the innermost one that is
    /// no dependency, and the innermost one in the test. Without repetitions.
    pub(crate) callers: Vec<CodeLocation>,
}

impl CallSite {
    /// Finds the places in a backtrace that the handler of the backtrace signal has sent.
    pub(crate) fn in_backtrace(backtrace: &str) -> Self {
        let frames = frames(backtrace);
        let sources = harness_sources(&frames);
        let is_others = |frame: &&Frame<'_>| {
            frame.is_rust()
                && !frame.is_of_standard_library()
                && !frame.is_of_harness(sources.as_deref())
        };
        let frames: Vec<&Frame<'_>> = frames.iter().filter(is_others).collect();
        let is_own = |frame: &&&Frame<'_>| !frame.is_of_dependency();
        let innermost = frames
            .iter()
            .find(|frame| !frame.is_system_call_wrapper())
            .or(frames.first());
        let local = frames.iter().find(is_own);
        // The harness calls the test, so the outermost frame belongs to the test. A thread of a
        // dependency has no such frame.
        let test = frames.last().filter(is_own).and_then(|outermost| {
            let mut inside = frames.iter();
            inside.find(|frame| frame.is_beside(outermost))
        });
        let mut places: Vec<CodeLocation> = Vec::new();
        for frame in [innermost, local, test].into_iter().flatten() {
            let place = frame.location();
            if !places.contains(&place) {
                places.push(place);
            }
        }
        let mut places = places.into_iter();
        Self {
            location: places.next(),
            callers: places.collect(),
        }
    }
}

/// A frame with a known place in the code.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    /// The function, without its crate and modules if the program has only the tables of lines.
    function: &'a str,
    file: &'a str,
    line: u32,
}

/// Parses the frames that have a place, from the inside out. A frame takes two lines:
///
/// ```text
///    5: save::save
///              at ./src/save.rs:12:5
/// ```
fn frames(backtrace: &str) -> Vec<Frame<'_>> {
    let mut lines = backtrace.lines().map(str::trim).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some((number, function)) = line.split_once(": ") else {
            continue;
        };
        let Some(place) = lines.peek().and_then(|next| next.strip_prefix("at ")) else {
            continue;
        };
        let parse = |place: &'_ str| -> Option<(usize, u32)> {
            let (place, _column) = place.rsplit_once(':')?;
            let (file, line) = place.rsplit_once(':')?;
            Some((file.len(), line.parse().ok()?))
        };
        if let (Ok(_), Some((length, line))) = (number.parse::<usize>(), parse(place)) {
            let file = place[..length].trim_start_matches("./");
            found.push(Frame {
                function,
                file,
                line,
            });
        }
        lines.next();
    }
    found
}

/// The path of the handler that makes the backtrace, relative to the sources of this crate.
const HANDLER: &str = "os/backtrace_signal.rs";

/// Finds the directory of this crate's sources as the debug information has it. The handler's own
/// frame is in each backtrace.
fn harness_sources(frames: &[Frame<'_>]) -> Option<String> {
    let is_handler = |frame: &&Frame<'_>| frame.file.ends_with(HANDLER);
    let handler = frames.iter().find(is_handler)?;
    handler.file.strip_suffix(HANDLER).map(str::to_owned)
}

/// Crates that only pass calls on to the kernel.
const WRAPPERS: [&str; 4] = ["libc-", "linux-raw-sys-", "nix-", "rustix-"];

impl Frame<'_> {
    fn is_rust(&self) -> bool {
        self.file.ends_with(".rs")
    }

    fn is_of_standard_library(&self) -> bool {
        ["/rustc/", "/rust/deps/"]
            .iter()
            .any(|start| self.file.starts_with(start))
            || [
                "/library/std/",
                "/library/core/",
                "/library/alloc/",
                "/library/backtrace/",
            ]
            .iter()
            .any(|part| self.file.contains(part))
    }

    /// Whether the frame belongs to this crate, whose sources are in `sources`. This includes the
    /// methods of a trait that a type of this crate implements.
    fn is_of_harness(&self, sources: Option<&str>) -> bool {
        let path = self.function.trim_start_matches('<');
        path.starts_with("clarity_chaos::")
            || sources.is_some_and(|sources| self.file.starts_with(sources))
    }

    /// Returns the path in the directory of Cargo's downloads: `CRATE-VERSION/src/file.rs`.
    fn path_in_download(&self) -> Option<&str> {
        let (_, path) = ["/registry/src/", "/git/checkouts/"]
            .iter()
            .find_map(|part| self.file.split_once(part))?;
        match path.split_once('/') {
            // The first part is the registry's name.
            Some((_, inside)) if self.file.contains("/registry/src/") => Some(inside),
            _ => Some(path),
        }
    }

    fn is_of_dependency(&self) -> bool {
        self.path_in_download().is_some()
    }

    fn is_system_call_wrapper(&self) -> bool {
        let is_wrapper = |path: &str| {
            let versions = WRAPPERS.iter().filter_map(|name| path.strip_prefix(name));
            versions
                .into_iter()
                .any(|version| version.starts_with(|digit: char| digit.is_ascii_digit()))
        };
        self.path_in_download().is_some_and(is_wrapper)
    }

    /// Returns the crate, if the function's path is known.
    fn crate_name(&self) -> Option<&str> {
        let path = self.function.trim_start_matches('<');
        let (name, _) = path.split_once("::")?;
        let is_name = |name: &str| {
            name.chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
        };
        is_name(name).then_some(name)
    }

    /// Whether this frame belongs to the same crate as `other`. If that is unknown, whether its
    /// file is in the directory of the other file.
    fn is_beside(&self, other: &Frame<'_>) -> bool {
        match (self.crate_name(), other.crate_name()) {
            (Some(own), Some(other)) => own == other,
            _ => {
                let directory = other.file.rsplit_once('/').map_or("", |(path, _)| path);
                let inside = self.file.strip_prefix(directory);
                !self.is_of_dependency()
                    && inside.is_some_and(|rest| directory.is_empty() || rest.starts_with('/'))
            }
        }
    }

    fn location(&self) -> CodeLocation {
        CodeLocation {
            file: self.path_in_download().unwrap_or(self.file).into(),
            line: self.line,
            function: self.function.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With full debug information.
    const FULL: &str = "\
   0: clarity_chaos::os::backtrace_signal::install_backtrace_handler::answer
             at /home/someone/chaos/harness/src/os/backtrace_signal.rs:10:20
   1: <unknown>
   2: __GI___rename
             at io/../sysdeps/rename.c:29:10
   3: std::fs::rename
             at /rustc/0123/library/std/src/fs.rs:2:3
   4: rustix::fs::at::renameat
             at /home/someone/.cargo/registry/src/index-0123/rustix-1.1.2/src/fs/at.rs:9:9
   5: tempfile::file::persist
             at /home/someone/.cargo/registry/src/index-0123/tempfile-3.0.0/src/file.rs:5:6
   6: save::save
             at ./src/save.rs:12:5
   7: chaos::common::run
             at ./tests/chaos/common.rs:7:5
   8: chaos::saves::{{closure}}
             at ./tests/chaos/main.rs:33:9
   9: clarity_chaos::test::explore::exploration::Exploration::crash_everywhere::{{closure}}
             at /home/someone/chaos/harness/src/test/explore/exploration.rs:131:50
  10: core::ops::function::FnOnce::call_once
             at /home/someone/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/ops/function.rs:250:5
  11: std::sys::backtrace::__rust_begin_short_backtrace
             at /rustc/0123/library/std/src/sys/backtrace.rs:158:18
  12: start_thread
             at ./nptl/pthread_create.c:442:8
";

    /// The same with `debug = \"line-tables-only\"`, and the harness from a registry.
    const LINES: &str = "\
   0: answer
             at /home/someone/.cargo/registry/src/index-0123/clarity-chaos-0.1.0/src/os/backtrace_signal.rs:10:20
   1: rename<&std::path::Path, &std::path::Path>
             at /rustc/0123/library/std/src/fs.rs:2:3
   2: persist
             at /home/someone/.cargo/registry/src/index-0123/tempfile-3.0.0/src/file.rs:5:6
   3: save
             at ./src/save.rs:12:5
   4: {closure#0}
             at ./tests/chaos/main.rs:33:9
   5: {closure#0}<(), chaos::saves::{closure_env#0}>
             at /home/someone/.cargo/registry/src/index-0123/clarity-chaos-0.1.0/src/test/explore/exploration.rs:131:50
   6: call_once<(), {closure#0}>
             at /rustc/0123/library/core/src/ops/function.rs:250:5
";

    fn describe(backtrace: &str) -> Vec<String> {
        let site = CallSite::in_backtrace(backtrace);
        let places = site.location.into_iter().chain(site.callers);
        places.map(|place| place.to_string()).collect()
    }

    #[test]
    fn call_site_is_in_the_crate_and_in_the_test() {
        assert_eq!(
            describe(FULL),
            [
                "tempfile-3.0.0/src/file.rs:5, in tempfile::file::persist",
                "src/save.rs:12, in save::save",
                "tests/chaos/common.rs:7, in chaos::common::run",
            ]
        );
        let without_tempfile = FULL.replace("tempfile", "libc");
        assert_eq!(
            describe(&without_tempfile)[0],
            "src/save.rs:12, in save::save"
        );
    }

    #[test]
    fn call_site_is_found_in_tables_of_lines() {
        assert_eq!(
            describe(LINES),
            [
                "tempfile-3.0.0/src/file.rs:5, in persist",
                "src/save.rs:12, in save",
                "tests/chaos/main.rs:33, in {closure#0}",
            ]
        );
        // The harness can also be in the workspace of the tests.
        let from_workspace = LINES.replace(
            "/home/someone/.cargo/registry/src/index-0123/clarity-chaos-0.1.0/",
            "./harness/",
        );
        assert_eq!(describe(&from_workspace), describe(LINES));
    }

    #[test]
    fn call_site_in_the_test_is_given_once() {
        let only_test = "\
   0: clarity_chaos::os::backtrace_signal::install_backtrace_handler::answer
             at ./harness/src/os/backtrace_signal.rs:10:20
   1: chaos::save
             at ./tests/chaos.rs:3:5
   2: chaos::saves::{{closure}}
             at ./tests/chaos.rs:33:9
";
        assert_eq!(describe(only_test), ["tests/chaos.rs:3, in chaos::save"]);
        assert!(describe("   0: <unknown>\n   1: <unknown>\n").is_empty());
    }

    #[test]
    fn call_site_in_a_thread_of_a_dependency_has_no_caller() {
        let in_pool = "\
   0: answer
             at ./harness/src/os/backtrace_signal.rs:10:20
   1: run
             at /home/someone/.cargo/registry/src/index-0123/tokio-1.0.0/src/pool.rs:3:5
   2: main
             at /rustc/0123/library/std/src/thread.rs:2:3
";
        assert_eq!(describe(in_pool), ["tokio-1.0.0/src/pool.rs:3, in run"]);
    }
}
