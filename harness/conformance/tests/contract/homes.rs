//! A sandboxed test has a home directory of its own, in which common tools work.

use crate::suite;
use clarity_chaos::Verdict;
use clarity_chaos_conformance::Suite;
use clarity_chaos_conformance::limits::output_of;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

#[track_caller]
fn passes(suite: &Suite, command: &mut Command) {
    let output = output_of(command);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(!suite.records().is_empty(), "{printed}");
}

#[test]
fn home_is_empty_writable_and_audited() {
    let suite = suite();
    let tests = [
        "homes::is_own",
        "homes::is_littered",
        "homes::is_tidy_again",
    ];
    let arguments = ["--exact", "--test-threads", "1", "--keep-dirs", "never"];
    let ran = suite.run(arguments.into_iter().chain(tests));
    let verdict = |test: usize| ran.records[tests[test]].verdict.clone();
    assert_eq!(verdict(0), Verdict::Passed, "{}", ran.stdout);
    let leaked = ["file `home/.config`", "file `home/.history`"];
    let leaked = leaked.map(ToOwned::to_owned).into();
    assert_eq!(verdict(1), Verdict::Leaked { leaked });
    assert_eq!(verdict(2), Verdict::Passed, "{}", ran.stdout);
    assert_eq!(fs::read_dir(suite.tmp()).unwrap().count(), 0);
}

#[test]
fn home_is_kept_with_the_directory_of_a_failed_test() {
    let suite = suite();
    let record = suite.record_of("homes::is_littered");
    let kept = record.kept_dir.unwrap();
    assert!(kept.join("home/.config/tool/settings").exists());
    let name = fs::read_to_string(kept.join("test")).unwrap();
    assert_eq!(name, "homes::is_littered\n");
}

#[test]
fn variables_of_the_home_follow_it() {
    let suite = suite();
    let mut command = suite.command();
    command.args(["--exact", "homes::is_followed"]);
    for name in ["CONFIG", "CACHE", "DATA", "STATE"] {
        command.env(format!("XDG_{name}_HOME"), "/nonexistent");
    }
    passes(&suite, command.env("GIT_CONFIG_GLOBAL", "/nonexistent"));
}

#[test]
fn home_of_the_runner_is_an_option() {
    let suite = suite();
    let home = suite.tmp().join("user");
    fs::create_dir(&home).unwrap();
    let test = "homes::is_of_the_runner";
    let mut command = suite.command();
    command
        .args(["--exact", test, "--home", "runner"])
        .env("HOME", &home)
        .env("MISBEHAVING_HOME", &home);
    passes(&suite, &mut command);
    let record = &suite.records()[test];
    assert!(record.replay_command.contains(" --home runner"));
    // Outside of the sandbox, the home directory is always the runner's.
    let mut command = suite.command();
    command
        .args(["--exact", test, "--sandbox", "none"])
        .env("HOME", &home)
        .env("MISBEHAVING_HOME", &home);
    passes(&suite, &mut command);
}

#[test]
fn cargo_and_git_work_with_and_without_their_variables() {
    for direct in [false, true] {
        let suite = suite();
        let mut command = suite.command();
        command
            .args(["--exact", "homes::builds_with_cargo"])
            .arg("homes::commits_with_git")
            // The build must not go to the target directory of these tests.
            .env_remove("CARGO_TARGET_DIR");
        // `cargo` and `rustup` set these variables for the programs that they start.
        for name in ["CARGO", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if direct {
                command.env_remove(name);
            }
        }
        passes(&suite, &mut command);
    }
}

/// Creates an executable script.
fn script(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Installs a program as pyenv does: the shim starts pyenv, which starts the program's version.
fn install_shim(root: &Path) {
    let find_root = r#"root=${PYENV_ROOT:-$HOME/.pyenv}"#;
    script(
        root.join("shims/shimmed"),
        &format!("#!/bin/sh\n{find_root}\nexec \"$root/libexec/pyenv\" exec shimmed \"$@\"\n"),
    );
    script(
        root.join("libexec/pyenv"),
        &format!(
            "#!/bin/sh\nset -e\n{find_root}\nversion=$(cat \"$root/version\")\nshift\n\
             exec \"$root/versions/$version/bin/$1\" \"$2\"\n"
        ),
    );
    script(
        root.join("versions/3/bin/shimmed"),
        "#!/bin/sh\necho \"version 3 $1\"\n",
    );
    fs::write(root.join("version"), "3\n").unwrap();
}

#[test]
fn shims_of_a_version_manager_work() {
    let suite = suite();
    let home = suite.tmp().join("user");
    let root = home.join(".pyenv");
    install_shim(&root);
    let path = std::env::var("PATH").unwrap();
    let mut command = suite.command();
    command
        .args(["--exact", "homes::runs_a_shim"])
        .env("HOME", &home)
        .env("PATH", format!("{}:{path}", root.join("shims").display()))
        .env_remove("PYENV_ROOT");
    passes(&suite, &mut command);
}
