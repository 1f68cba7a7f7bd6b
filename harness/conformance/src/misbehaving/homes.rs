//! Sandboxed tests that use their home directories.

use clarity_chaos::{Context, Result, chaos};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn home() -> Result<PathBuf> {
    Ok(env::var_os("HOME").ok_or("HOME is not set")?.into())
}

/// Runs a program in `directory`. Returns the standard output without the last line break.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(directory).output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {errors}", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The home directory is next to the test's directory. It is empty and writable.
#[chaos(non_destructive)]
fn is_own(cx: Context) -> Result {
    let home = home()?;
    assert_eq!(home, cx.dir().with_file_name("home"));
    assert_eq!(env::home_dir(), Some(home.clone()));
    assert_eq!(home.read_dir()?.count(), 0);
    let file = home.join("file");
    fs::write(&file, "")?;
    fs::remove_file(file)?;
    Ok(())
}

/// Leaves a file and a directory in the home directory.
#[chaos(non_destructive)]
fn is_littered() -> Result {
    let home = home()?;
    fs::create_dir_all(home.join(".config/tool"))?;
    fs::write(home.join(".config/tool/settings"), "")?;
    fs::write(home.join(".history"), "")?;
    Ok(())
}

/// Runs after `is_littered`, in the same home directory.
#[chaos(non_destructive)]
fn is_tidy_again() -> Result {
    assert_eq!(home()?.read_dir()?.count(), 0);
    Ok(())
}

/// The variables of the home directory lead to the test's own home directory.
#[chaos(non_destructive)]
fn is_followed() -> Result {
    let home = home()?;
    for (name, path) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("GIT_CONFIG_GLOBAL", ".gitconfig"),
    ] {
        let value = env::var_os(name).ok_or(name)?;
        assert_eq!(PathBuf::from(value), home.join(path), "{name}");
    }
    Ok(())
}

/// Creates and builds a package with Cargo.
#[chaos(non_destructive, timeout = "240s")]
fn builds_with_cargo(cx: Context) -> Result {
    run(cx.dir(), "cargo", &["new", "--quiet", "package"])?;
    let package = cx.dir().join("package");
    let build = ["build", "--offline", "--quiet", "--target-dir", "built"];
    run(&package, "cargo", &build)?;
    let printed = run(&package, "built/debug/package", &[])?;
    assert_eq!(printed, "Hello, world!");
    Ok(())
}

/// Commits with Git: without an identity, and with identities of the user and of the repository.
#[chaos(non_destructive)]
fn commits_with_git(cx: Context) -> Result {
    run(cx.dir(), "git", &["init", "--quiet"])?;
    let commit = || -> Result<String> {
        let arguments = ["commit", "--quiet", "--allow-empty", "-m", "message"];
        run(cx.dir(), "git", &arguments)?;
        run(cx.dir(), "git", &["log", "-1", "--format=%an <%ce>"])
    };
    assert_eq!(commit()?, "chaos test <chaos-test@localhost>");
    run(
        cx.dir(),
        "git",
        &["config", "--global", "user.name", "user"],
    )?;
    assert_eq!(commit()?, "user <chaos-test@localhost>");
    run(cx.dir(), "git", &["config", "user.name", "repository"])?;
    assert_eq!(commit()?, "repository <chaos-test@localhost>");
    run(
        cx.dir(),
        "git",
        &["config", "--global", "--unset", "user.name"],
    )?;
    fs::remove_file(home()?.join(".gitconfig"))?;
    Ok(())
}

/// Runs a program by the shim of a version manager in the user's home directory.
#[chaos(non_destructive)]
fn runs_a_shim(cx: Context) -> Result {
    assert_eq!(
        run(cx.dir(), "shimmed", &["argument"])?,
        "version 3 argument"
    );
    Ok(())
}

/// The home directory is the runner's.
#[chaos(non_destructive)]
fn is_of_the_runner() -> Result {
    let expected = env::var_os("MISBEHAVING_HOME").ok_or("MISBEHAVING_HOME is not set")?;
    assert_eq!(home()?, PathBuf::from(expected));
    Ok(())
}
