//! Processes whose calls the kernel hides from the harness.

use clarity_chaos::fault::{CallKind, SystemCall};
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies the program `touch` to `dir`, with this mode.
fn touch(dir: &Path, mode: u32) -> Result<PathBuf> {
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&directories).map(|dir| dir.join("touch"));
    let program = programs.find(|path| path.exists()).ok_or("no touch")?;
    let copy = dir.join("touch");
    fs::copy(program, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
    Ok(copy)
}

/// Explores an operation that makes a file by a program with this mode.
fn explore(cx: &Context, mode: u32) -> Result {
    let elsewhere = tempfile::tempdir()?;
    let program = touch(elsewhere.path(), mode)?;
    let explored = cx.crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("own"))?;
            let made = Command::new(&program).arg(dir.join("file")).status()?;
            assert!(made.success());
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    assert_eq!(explored.points, 3, "{explored:?}");
    Ok(())
}

/// The program may be executed and not read.
#[chaos(non_destructive)]
fn explored_program_without_read_permission(cx: Context) -> Result {
    explore(&cx, 0o111)
}

/// The same program may be read.
#[chaos(non_destructive)]
fn explored_program_with_read_permission(cx: Context) -> Result {
    explore(&cx, 0o555)
}

/// The operation forbids other processes to read its memory.
#[chaos(non_destructive)]
fn explored_operation_is_not_dumpable(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("before"))?;
            nix::sys::prctl::set_dumpable(false)?;
            fs::create_dir(dir.join("after"))?;
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// Makes a file by a program with this mode, while opening files fails.
fn fail(cx: &Context, kind: CallKind, mode: u32) -> Result<bool> {
    let elsewhere = tempfile::tempdir()?;
    let program = touch(elsewhere.path(), mode)?;
    let fault = cx.inject(SystemCall::new(cx.dir(), kind))?;
    let made = Command::new(program).arg(cx.dir().join("file")).output()?;
    drop(fault);
    Ok(made.status.success())
}

/// The fault cannot act on the program, whose memory is hidden.
#[chaos(non_destructive)]
fn fault_on_a_program_without_read_permission(cx: Context) -> Result {
    assert!(fail(&cx, CallKind::Open, 0o111)?);
    Ok(())
}

/// The program makes no call of this kind.
#[chaos(non_destructive)]
fn fault_on_other_calls_of_a_hidden_program(cx: Context) -> Result {
    assert!(fail(&cx, CallKind::Rename, 0o111)?);
    Ok(())
}

/// The fault acts on the program.
#[chaos(non_destructive)]
fn fault_on_a_program_with_read_permission(cx: Context) -> Result {
    assert!(!fail(&cx, CallKind::Open, 0o555)?);
    Ok(())
}
