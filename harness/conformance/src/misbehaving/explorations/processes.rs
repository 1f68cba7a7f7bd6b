//! Operations of several processes.

use clarity_chaos::explore::{Crash, ExploreError, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// Returns a command that runs a script of the shell in a directory.
fn shell(dir: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(dir);
    command
}

/// Runs a script of the shell in a directory.
fn run(dir: &Path, script: &str) -> Result {
    match shell(dir, script).status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{script}: {status}").into()),
    }
}

/// Forks this process, runs `work` in the child, and gives the child's exit code.
fn fork(work: impl FnOnce() -> Result) -> Result<i32> {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};
    // SAFETY: the explored operation has one thread that holds locks, and this is it.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let code = i32::from(work().is_err());
            // SAFETY: the call touches no memory.
            unsafe { nix::libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, code) => Ok(code),
            other => Err(format!("{other:?}").into()),
        },
    }
}

/// A shell and its children, a child without calls on files, and another child.
#[chaos(non_destructive)]
fn children_are_numbered_as_they_are_created(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("own"))?;
            run(dir, "mkdir shell; mkdir first; mkdir second; :")?;
            Command::new("true").status()?;
            Command::new("mkdir").arg(dir.join("third")).status()?;
            assert_eq!(fork(|| Ok(fs::create_dir(dir.join("forked"))?))?, 0);
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// The second child makes its first call before the first child.
#[chaos(non_destructive)]
fn children_are_numbered_whichever_calls_first(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            let mut first = shell(dir, "read line; exec mkdir first");
            let mut first = first.stdin(Stdio::piped()).spawn()?;
            run(dir, "exec mkdir second")?;
            first.stdin.take().ok_or("no pipe")?.write_all(b"now\n")?;
            assert!(first.wait()?.success());
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// A grandchild makes its first call after the death of its parent.
#[chaos(non_destructive)]
fn orphan_keeps_its_name(cx: Context) -> Result {
    const LATE: &str = r#"
        ( read line; exec mkdir late ) <&3 &
    "#;
    cx.crash_everywhere(
        |dir| {
            let (pipe, mut writer) = std::io::pipe()?;
            let mut parent = Command::new("sh");
            parent.args(["-c", &format!("exec 3<&0; {LATE}")]);
            assert!(parent.current_dir(dir).stdin(pipe).status()?.success());
            writer.write_all(b"now\n")?;
            while !dir.join("late").exists() {
                thread::yield_now();
            }
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

fn by_two_threads(dir: &Path) -> Result {
    thread::scope(|scope| {
        let run = |name| move || Command::new("mkdir").arg(dir.join(name)).status();
        let threads = ["a", "b"].map(|name| scope.spawn(run(name)));
        for thread in threads {
            assert!(thread.join().is_ok_and(|made| made.is_ok()));
        }
    });
    Ok(())
}

/// Two threads start processes, in any order.
#[chaos(non_destructive)]
fn children_of_two_threads_are_unidentified(cx: Context) -> Result {
    cx.crash_everywhere(by_two_threads, |_, _| Ok(()))?;
    Ok(())
}

/// Explores the deaths of single processes in two operations. The wrong one must break the
/// invariant, and the error must contain all `words`.
fn compare(
    cx: &Context,
    words: &[&str],
    wrong: fn(&Path) -> Result,
    right: fn(&Path) -> Result,
    invariant: fn(&Path, Crash) -> Result,
) -> Result {
    // All processes of both operations can die at once.
    cx.crash_everywhere(wrong, invariant)?;
    cx.crash_everywhere(right, invariant)?;
    let explore = || cx.explore().one_process_dies();
    explore().crash_everywhere(right, invariant)?;
    match explore().crash_everywhere(wrong, invariant) {
        Err(ExploreError::Broken(broken)) => {
            let text = broken.to_string();
            for word in words {
                assert!(text.contains(word), "no {word:?} in: {text}");
            }
            Ok(())
        }
        other => panic!("the wrong operation is not broken: {other:?}"),
    }
}

/// Requires complete data if no lock is there.
fn complete_or_locked(dir: &Path, _: Crash) -> Result {
    let data = fs::read_to_string(dir.join("data"));
    match data.as_deref() {
        Ok("first\nsecond\n") | Err(_) => Ok(()),
        _ if dir.join("lock").exists() => Ok(()),
        found => Err(format!("no lock, but {found:?}").into()),
    }
}

const WRITE: &str = "echo first >> data; echo second >> data";

/// The operation locks, and a shell writes. Only the right operation looks at the shell's status.
#[chaos(non_destructive)]
fn status_of_a_program(cx: Context) -> Result {
    compare(
        &cx,
        &[
            "when only this process died in the place of call",
            "write of 6 bytes at the end of data by child 1 (sh)",
            "no lock, but",
            "the operation returned success",
        ],
        |dir| {
            fs::write(dir.join("lock"), "")?;
            shell(dir, WRITE).status()?;
            Ok(fs::remove_file(dir.join("lock"))?)
        },
        |dir| {
            fs::write(dir.join("lock"), "")?;
            run(dir, WRITE)?;
            Ok(fs::remove_file(dir.join("lock"))?)
        },
        complete_or_locked,
    )
}

/// The same with a fork of the operation's own process.
#[chaos(non_destructive)]
fn status_of_a_fork(cx: Context) -> Result {
    fn write(dir: &Path) -> Result {
        let mut data = File::options()
            .append(true)
            .create(true)
            .open(dir.join("data"))?;
        data.write_all(b"first\n")?;
        data.write_all(b"second\n")?;
        Ok(())
    }
    compare(
        &cx,
        &[
            "when only this process died in the place of call",
            "write of 6 bytes at the end of data by child 1 (",
            "processes::status_of_a_fork::write",
            "the operation returned success",
        ],
        |dir| {
            fs::write(dir.join("lock"), "")?;
            let _ = fork(|| write(dir));
            Ok(fs::remove_file(dir.join("lock"))?)
        },
        |dir| {
            fs::write(dir.join("lock"), "")?;
            assert_eq!(fork(|| write(dir))?, 0);
            Ok(fs::remove_file(dir.join("lock"))?)
        },
        complete_or_locked,
    )
}

/// A child commits when the operation tells it to. The end of its input is no such request.
#[chaos(non_destructive)]
fn death_of_the_parent(cx: Context) -> Result {
    fn save(dir: &Path, script: &str) -> Result {
        let mut child = shell(dir, script).stdin(Stdio::piped()).spawn()?;
        fs::write(dir.join("data"), "data")?;
        child.stdin.take().ok_or("no pipe")?.write_all(b"go\n")?;
        child
            .wait()?
            .success()
            .then_some(())
            .ok_or("not committed")?;
        Ok(())
    }
    compare(
        &cx,
        &[
            "when only this process died in the place of call 1 of 3, openat of data",
            "by the operation's own process",
            "committed without data",
            "the operation's process died: it was ended by signal 9",
        ],
        |dir| save(dir, "read line; mkdir committed"),
        |dir| save(dir, "read line && mkdir committed"),
        |dir, crash| {
            let is_alone = crash.victim().is_some_and(|victim| victim.is_operation());
            let is_committed = dir.join("committed").exists();
            let is_written = fs::read(dir.join("data")).is_ok_and(|data| data == b"data");
            match is_committed && !is_written {
                true => Err(format!("committed without data, alone: {is_alone}").into()),
                false => Ok(()),
            }
        },
    )
}

/// The victim is named to the invariant, and each process is a victim.
#[chaos(non_destructive)]
fn each_process_is_a_victim(cx: Context) -> Result {
    let victims = tempfile::tempdir()?;
    let victims = victims.path();
    cx.explore().one_process_dies().crash_everywhere(
        |dir| {
            fs::create_dir(dir.join("own"))?;
            run(dir, "mkdir first; mkdir second || exit 0")
        },
        |_, crash| {
            let name = match crash.victim() {
                Some(victim) => format!("{victim}, success: {}", crash.acknowledged()),
                None => return Ok(()),
            };
            Ok(fs::write(victims.join(name), "")?)
        },
    )?;
    let mut found = Vec::new();
    for victim in fs::read_dir(victims)? {
        found.push(
            victim?
                .file_name()
                .into_string()
                .map_err(|_| "not a name")?,
        );
    }
    found.sort();
    assert_eq!(
        found,
        [
            "child 1 of child 1 (mkdir), success: true",
            "child 2 of child 1 (mkdir), success: true",
            "the operation's own process, success: false",
        ]
    );
    Ok(())
}

/// The child of a dead operation never ends by itself.
#[chaos(non_destructive, timeout = "60s")]
fn child_that_never_ends(cx: Context) -> Result {
    cx.explore().one_process_dies().crash_everywhere(
        |dir| {
            let mut child = shell(dir, "mkdir child; while :; do sleep 1; done").spawn()?;
            while !dir.join("child").exists() {
                thread::yield_now();
            }
            fs::create_dir(dir.join("own"))?;
            child.kill()?;
            child.wait()?;
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// Processes of two threads cannot die alone, since each run creates them in another order.
#[chaos(non_destructive)]
fn death_of_a_process_of_two_threads(cx: Context) -> Result {
    cx.explore()
        .one_process_dies()
        .crash_everywhere(by_two_threads, |_, _| Ok(()))?;
    Ok(())
}

/// The shell writes a draft, and the operation renames it. The wrong shell does not sync the draft.
#[chaos(non_destructive)]
fn power_loss_after_a_program(cx: Context) -> Result {
    fn save(dir: &Path, script: &str) -> Result {
        run(dir, script)?;
        fs::rename(dir.join("draft"), dir.join("current"))?;
        Ok(File::open(dir)?.sync_all()?)
    }
    fn is_whole(dir: &Path, crash: Crash) -> Result {
        match fs::read_to_string(dir.join("current")).as_deref() {
            Ok("text\n") => Ok(()),
            Err(_) if !crash.acknowledged() => Ok(()),
            found => Err(format!("found {found:?}").into()),
        }
    }
    let explore = || cx.explore().power_loss(PowerLoss::Journaled);
    explore().crash_everywhere(|dir| save(dir, "echo text > draft; sync draft"), is_whole)?;
    let wrong = explore().crash_everywhere(|dir| save(dir, "echo text > draft"), is_whole);
    let Err(ExploreError::Broken(broken)) = wrong else {
        panic!("the wrong operation is not broken: {wrong:?}");
    };
    let text = broken.to_string();
    let lost = "nothing had synced it: call 2 of 4, write of 5 bytes at 0 of draft by child 1 (sh)";
    assert!(text.contains(lost), "{text}");
    Ok(())
}
