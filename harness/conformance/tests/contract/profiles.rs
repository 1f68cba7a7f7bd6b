//! The file of profiles: where it is found, which setting wins, and what its errors name.

mod errors;

use crate::suite;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Declares a time limit of 20 s.
const LIMITED: &str = "profiles::limited";
/// Declares no time limit.
const UNLIMITED: &str = "profiles::unlimited";

/// A suite whose package is the member `a` of a workspace with a file of profiles.
struct Workspace {
    suite: Suite,
    root: TempDir,
}

impl Workspace {
    fn new(profiles: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| write(&root.path().join(path), text);
        write("Cargo.toml", "[workspace]\nmembers = [\"a\"]\n");
        write("a/Cargo.toml", "[package]\nname = \"a\"\n");
        write(".config/chaos.toml", profiles);
        let suite = suite();
        Self { suite, root }
    }

    fn file(&self) -> PathBuf {
        self.root.path().join(".config/chaos.toml")
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> RunOutput {
        let mut command = self.suite.command();
        command
            .args(arguments)
            .env("CARGO_MANIFEST_DIR", self.root.path().join("a"))
            .envs(variables.iter().copied());
        self.suite.run_command(&mut command)
    }

    /// Runs both tests. Returns their time limits in seconds, that of [`LIMITED`] first.
    #[track_caller]
    fn limits(&self, arguments: &[&str], variables: &[(&str, &str)]) -> [u64; 2] {
        let arguments = [&["--exact", LIMITED, UNLIMITED], arguments].concat();
        let ran = self.run(&arguments, variables);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        [LIMITED, UNLIMITED].map(|test| ran.records[test].timeout_ms / 1000)
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn file_at_the_workspace_root_is_found_and_named() {
    let workspace = Workspace::new("[profile.default]\ntimeout = \"41s\"\n");
    let ran = workspace.run(&["--exact", UNLIMITED], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.records[UNLIMITED].timeout_ms, 41_000);
    let named = format!("profile: default, of {}", workspace.file().display());
    assert!(ran.stdout.contains(&named), "{}", ran.stdout);
    // Another file takes its place if an option or a variable names one.
    let other = workspace.root.path().join("other.toml");
    write(&other, "[profile.default]\ntimeout = \"42s\"\n");
    let other = other.to_str().unwrap();
    assert_eq!(workspace.limits(&["--config", other], &[]), [20, 42]);
    assert_eq!(workspace.limits(&[], &[("CHAOS_CONFIG", other)]), [20, 42]);
    assert_eq!(workspace.limits(&[], &[("CHAOS_CONFIG", "")]), [20, 41]);
}

#[test]
fn file_above_the_workspace_is_not_found() {
    // As `~/.config/chaos.toml` of another program.
    let workspace = Workspace::new("garbage");
    let inner = workspace.root.path().join("a");
    write(
        &inner.join("Cargo.toml"),
        "[package]\nname = \"a\"\n[workspace]\n",
    );
    let ran = workspace.run(&["--exact", UNLIMITED], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains("profile:"), "{}", ran.stdout);
    write(
        &inner.join(".config/chaos.toml"),
        "[profile.default]\ntimeout = \"43s\"\n",
    );
    assert_eq!(workspace.limits(&[], &[]), [20, 43]);
}

#[test]
fn excluded_package_is_its_own_root() {
    let workspace = Workspace::new("garbage");
    let manifest = workspace.root.path().join("Cargo.toml");
    write(&manifest, "[workspace]\nexclude = [\"a\"]\n");
    assert_eq!(workspace.limits(&[], &[]), [20, 30]);
}

#[test]
fn settings_have_the_documented_precedence() {
    let workspace = Workspace::new(
        r#"
        [profile.default]
        timeout = "41s"

        [[profile.default.overrides]]
        filter = "profiled and slow"
        timeout = "42s"

        [profile.ci]
        timeout = "43s"

        [profile.all]
        inherits = "ci"

        [[profile.all.overrides]]
        filter = "profiled"
        grace = "3s"

        [[profile.all.overrides]]
        filter = "profiled or slow"
        timeout = "44s"

        [[profile.all.overrides]]
        filter = "profiled"
        timeout = "45s"

        [profile.inherits]
        inherits = "all"
        timeout = "46s"
        "#,
    );
    let with = |arguments: &[&str]| workspace.limits(arguments, &[]);
    assert_eq!(with(&[]), [20, 41]);
    assert_eq!(with(&["--profile", "ci"]), [20, 43]);
    // An override comes before the test's attribute, and the first one that matches counts.
    assert_eq!(with(&["--profile", "all"]), [44, 44]);
    assert_eq!(with(&["--profile", "inherits"]), [44, 44]);
    // An option or a variable replaces the setting with its overrides. As without a profile, the
    // test's attribute comes before it.
    for profile in ["default", "ci", "all", "inherits"] {
        assert_eq!(with(&["--profile", profile, "--timeout", "9s"]), [20, 9]);
    }
    let variables = [("CHAOS_PROFILE", "all"), ("CHAOS_TIMEOUT", "8s")];
    assert_eq!(workspace.limits(&[], &variables), [20, 8]);
    assert_eq!(workspace.limits(&["--timeout", "9s"], &variables), [20, 9]);
    let profile = [("CHAOS_PROFILE", "all")];
    assert_eq!(workspace.limits(&[], &profile), [44, 44]);
    assert_eq!(workspace.limits(&["--profile", "ci"], &profile), [20, 43]);
}

#[test]
fn retries_and_sandbox_hold_per_filter() {
    let workspace = Workspace::new(
        r#"
        [profile.default]
        retries = 1
        sandbox = "none"

        [[profile.default.overrides]]
        filter = "profiled"
        sandbox = "all"
        keep-dirs = "always"

        [[profile.default.overrides]]
        filter = "not profiled"
        retries = 2
        "#,
    );
    let tests = ["--exact", "endings::fails", UNLIMITED];
    let ran = workspace.run(&tests, &[]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    let failed = &ran.records["endings::fails"];
    assert_eq!(failed.failed_attempts.len(), 2);
    let unlimited = &ran.records[UNLIMITED];
    assert!(unlimited.kept_dir.is_some());
    assert!(failed.kept_dir.is_some());
    // The override's sandbox is that of `--sandbox all`, as far as it can be had here.
    let all = suite().run(["--exact", UNLIMITED, "--sandbox", "all"]);
    assert_eq!(unlimited.sandbox, all.records[UNLIMITED].sandbox);
    for (filter, count) in [("profiled", "1 test"), ("not profiled", "1 test")] {
        let words = format!("`{filter}` for {count}");
        assert!(ran.stdout.contains(&words), "{words}: {}", ran.stdout);
    }
    let ran = workspace.run(&[&tests[..], &["--retries", "0"]].concat(), &[]);
    assert_eq!(ran.records["endings::fails"].failed_attempts.len(), 0);
}

#[test]
fn paths_start_at_the_workspace_and_name_the_target() {
    let workspace = Workspace::new(
        r#"
        [profile.default]
        junit = "out/{package}-{target}.xml"
        html = "out/{target}.html"
        history = "out/{target}"
        "#,
    );
    let mut command = workspace.suite.command();
    command
        .args(["--exact", UNLIMITED])
        .env("CARGO_MANIFEST_DIR", workspace.root.path().join("a"))
        .env_remove("CHAOS_HISTORY");
    let ran = workspace.suite.run_command(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let out = workspace.root.path().join("out");
    let package = env!("CARGO_PKG_NAME");
    let junit = fs::read_to_string(out.join(format!("{package}-misbehaving.xml"))).unwrap();
    let page = fs::read_to_string(out.join("misbehaving.html")).unwrap();
    for report in [junit, page] {
        assert!(report.contains("default, of /"), "{report}");
    }
    assert!(out.join("misbehaving/last-seed").exists());
}

#[test]
fn commands_that_repeat_a_test_name_the_profile() {
    let workspace = Workspace::new("[profile.ci]\ntimeout = \"41s\"\nsandbox = \"all\"\n");
    let file = workspace.file();
    let config = ["--config", file.to_str().unwrap()];
    let test = ["--exact", "endings::fails", "--profile", "ci"];
    for (more, words) in [
        (&[][..], " --profile ci"),
        (&config, " --config /"),
        (&["--timeout", "7s"], " --timeout 7s"),
    ] {
        let ran = workspace.run(&[&test[..], more].concat(), &[]);
        assert_eq!(ran.code, Some(101), "{}", ran.stderr);
        let again = &ran.records["endings::fails"].replay_command;
        assert!(again.contains(words), "{again}");
        // The file sets these. As options, they would replace overrides.
        assert!(!again.contains("--timeout 41s"), "{again}");
        assert!(!again.contains("--sandbox"), "{again}");
    }
}

#[test]
fn settings_without_meaning_give_way_unless_given() {
    let workspace =
        Workspace::new("[profile.default]\nretries = 2\nmax-failures = 1\ntest-threads = 2\n");
    let test = ["--exact", UNLIMITED];
    for more in [&["--seeds", "2"][..], &[], &["--isolation", "thread"]] {
        let ran = workspace.run(&[&test[..], more].concat(), &[]);
        assert_eq!(ran.code, Some(0), "{more:?}: {}", ran.stderr);
    }
    let given = [&test[..], &["--seeds", "2", "--retries", "1"]].concat();
    assert_eq!(workspace.run(&given, &[]).code, Some(2));
}

#[test]
fn given_seed_runs_before_known_seeds_of_the_profile() {
    let workspace = Workspace::new("[profile.default]\nknown-seeds = \"first\"\n");
    let test = "endings::fails";
    fs::write(workspace.suite.regressions(), format!("{test} 5\n")).unwrap();
    for (more, seed) in [(&["--seed", "7"][..], 7), (&[], 5)] {
        let ran = workspace.run(&[&["--exact", test], more].concat(), &[]);
        assert_eq!(ran.records[test].root_seed.get(), seed, "{}", ran.stdout);
    }
}

#[test]
fn flag_of_a_profile_is_unset_by_its_variable() {
    let workspace = Workspace::new("[profile.default]\nverbose = true\n");
    let verbose = |variables: &[(&str, &str)]| {
        let ran = workspace.run(&["--exact", UNLIMITED], variables);
        ran.stdout.contains("Declares no time limit.")
    };
    assert!(verbose(&[]));
    assert!(!verbose(&[("CHAOS_VERBOSE", "0")]));
}
