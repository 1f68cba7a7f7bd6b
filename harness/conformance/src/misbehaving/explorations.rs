//! Ways to save a file, most of them wrong, explored everywhere.

use clarity_chaos::explore::{Crash, Errno, InjectedFailure, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;

const OLD: &str = "the old text";
const NEW: &str = "a new text, which is longer";

/// The old text is there or the new one, and the new one if the operation has said so.
fn old_or_new(dir: &Path, crash: Crash) -> Result {
    match fs::read_to_string(dir.join("current"))?.as_str() {
        NEW => Ok(()),
        OLD if !crash.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// Explores a way to save a file with the process's death and loss of power.
fn explore(cx: &Context, save: fn(&Path) -> Result) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    cx.explore()
        .power_loss(PowerLoss::Posix)
        .crash_everywhere(save, old_or_new)?;
    Ok(())
}

fn draft(dir: &Path) -> Result<File> {
    let mut file = File::create(dir.join("draft"))?;
    file.write_all(NEW.as_bytes())?;
    Ok(file)
}

fn publish(dir: &Path) -> Result {
    fs::rename(dir.join("draft"), dir.join("current"))?;
    Ok(())
}

fn sync_folder(dir: &Path) -> Result {
    File::open(dir)?.sync_all()?;
    Ok(())
}

fn rightly(dir: &Path) -> Result {
    draft(dir)?.sync_all()?;
    publish(dir)?;
    sync_folder(dir)
}

/// Writes a draft, syncs it, moves it, syncs the folder.
#[chaos(non_destructive)]
fn the_right_way(cx: Context) -> Result {
    explore(&cx, rightly)
}

/// Writes over the old text.
#[chaos(non_destructive)]
fn in_place(cx: Context) -> Result {
    explore(&cx, |dir| Ok(fs::write(dir.join("current"), NEW)?))
}

/// Forgets to sync the draft.
#[chaos(non_destructive)]
fn without_sync(cx: Context) -> Result {
    explore(&cx, |dir| {
        draft(dir)?;
        publish(dir)?;
        sync_folder(dir)
    })
}

/// Syncs the draft when it has been moved already.
#[chaos(non_destructive)]
fn sync_after_rename(cx: Context) -> Result {
    explore(&cx, |dir| {
        let draft = draft(dir)?;
        publish(dir)?;
        draft.sync_all()?;
        sync_folder(dir)
    })
}

/// Forgets to sync the folder.
#[chaos(non_destructive)]
fn without_sync_of_the_folder(cx: Context) -> Result {
    explore(&cx, |dir| {
        draft(dir)?.sync_all()?;
        publish(dir)
    })
}

/// Has its draft on another file system, so that it is copied and not moved.
#[chaos(non_destructive)]
fn from_another_file_system(cx: Context) -> Result {
    let other = cx.other_filesystem()?;
    fs::write(cx.dir().join("current"), OLD)?;
    cx.crash_everywhere(
        |dir| {
            draft(&other)?.sync_all()?;
            let to = dir.join("current");
            if fs::rename(other.join("draft"), &to).is_err() {
                fs::copy(other.join("draft"), &to)?;
            }
            File::open(to)?.sync_all()?;
            sync_folder(dir)
        },
        old_or_new,
    )?;
    Ok(())
}

/// Writes an index before what it points to.
#[chaos(non_destructive)]
fn two_files_without_order(cx: Context) -> Result {
    fs::write(cx.dir().join("index"), "1")?;
    fs::write(cx.dir().join("1"), OLD)?;
    cx.crash_everywhere(
        |dir| {
            fs::write(dir.join("new-index"), "2")?;
            fs::rename(dir.join("new-index"), dir.join("index"))?;
            fs::write(dir.join("2"), NEW)?;
            Ok(())
        },
        |dir, _| {
            let index = fs::read_to_string(dir.join("index"))?;
            fs::read_to_string(dir.join(index))?;
            Ok(())
        },
    )?;
    Ok(())
}

/// What ext4 forgives: the draft is not synced, and takes the place of an old file.
#[chaos(non_destructive)]
fn without_sync_on_ext4(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    cx.explore()
        .power_loss(PowerLoss::Ext4Ordered)
        .crash_everywhere(
            |dir| {
                draft(dir)?;
                publish(dir)?;
                sync_folder(dir)
            },
            old_or_new,
        )?;
    Ok(())
}

/// What ext4 does not: the draft is not synced, and the name is a new one.
#[chaos(non_destructive)]
fn a_new_file_without_sync_on_ext4(cx: Context) -> Result {
    cx.explore()
        .power_loss(PowerLoss::Ext4Ordered)
        .crash_everywhere(
            |dir| {
                draft(dir)?;
                publish(dir)?;
                sync_folder(dir)
            },
            |dir, _| match fs::read_to_string(dir.join("current")) {
                Ok(text) if text != NEW => Err(format!("found {text:?}").into()),
                _ => Ok(()),
            },
        )?;
    Ok(())
}

/// A popular crate, whose file must be whole whenever the process dies.
#[chaos(non_destructive)]
fn a_popular_crate(cx: Context) -> Result {
    let save = |dir: &Path| {
        Ok(
            atomicwrites::AtomicFile::new(dir.join("current"), atomicwrites::AllowOverwrite)
                .write(|file| file.write_all(NEW.as_bytes()))?,
        )
    };
    fs::write(cx.dir().join("current"), OLD)?;
    cx.explore()
        .power_loss(PowerLoss::Posix)
        .crash_everywhere(save, old_or_new)?;
    Ok(())
}

/// Writes through a mapping, where nobody sees it.
#[chaos(non_destructive)]
fn through_a_mapping(cx: Context) -> Result {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    explore(&cx, |dir| {
        let file = File::options()
            .read(true)
            .write(true)
            .open(dir.join("current"))?;
        // SAFETY: a new mapping, of a file that nobody cuts, which is written to within its length.
        unsafe {
            let place = mmap(
                std::ptr::null_mut(),
                OLD.len(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )?;
            place.cast::<u8>().write(b'T');
            munmap(place, OLD.len())?;
        }
        Ok(())
    })
}

/// Asks for io_uring, which would write without any call: it is told that there is none.
#[chaos(non_destructive)]
fn by_io_uring(cx: Context) -> Result {
    use nix::libc::{ENOSYS, SYS_io_uring_setup, syscall};
    explore(&cx, |dir| {
        let mut parameters = [0_u8; 120];
        // SAFETY: so many bytes are what the call may write to.
        let made = unsafe { syscall(SYS_io_uring_setup, 1_u32, parameters.as_mut_ptr()) };
        let error = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((made, error), (-1, Some(ENOSYS)));
        rightly(dir)
    })
}

/// Three threads write a file each, and a fourth file says that they are there.
#[chaos(non_destructive)]
fn by_threads(cx: Context) -> Result {
    let explored = cx.crash_everywhere(
        |dir| {
            thread::scope(|scope| {
                for name in ["a", "b", "c"] {
                    scope.spawn(move || fs::write(dir.join(name), name));
                }
            });
            fs::write(dir.join("all"), "")?;
            Ok(())
        },
        |dir, _| {
            let all = dir.join("all").exists();
            for name in ["a", "b", "c"] {
                let written = fs::read_to_string(dir.join(name)).unwrap_or_default();
                assert!(written == name || !all);
            }
            Ok(())
        },
    )?;
    assert!(explored.points >= 7, "{explored:?}");
    Ok(())
}

/// A program that the operation starts does the wrong thing.
#[chaos(non_destructive)]
fn by_another_program(cx: Context) -> Result {
    explore(&cx, |dir| {
        rightly(dir)?;
        let copied = Command::new("cp")
            .arg(dir.join("current"))
            .arg(dir.join("copy"))
            .status()?;
        assert!(copied.success());
        fs::remove_file(dir.join("current"))?;
        fs::rename(dir.join("copy"), dir.join("current"))?;
        Ok(())
    })
}

/// A program of the operation becomes another one, in the same process.
#[chaos(non_destructive)]
fn by_a_program_that_becomes_another(cx: Context) -> Result {
    let explored = cx.crash_everywhere(
        |dir| {
            let made = Command::new("sh")
                .args(["-c", "echo > a; exec mkdir b"])
                .current_dir(dir)
                .status()?;
            assert!(made.success());
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    // Made and written, and the folder.
    assert_eq!(explored.points, 3, "{explored:?}");
    Ok(())
}

/// Does its work somewhere else.
#[chaos(non_destructive)]
fn elsewhere(cx: Context) -> Result {
    let other = tempfile::tempdir()?;
    let other = other.path();
    cx.crash_everywhere(|_| Ok(fs::write(other.join("file"), "")?), |_, _| Ok(()))?;
    Ok(())
}

/// A task of a runtime that is made for it saves the file.
#[chaos(non_destructive)]
fn by_a_task(cx: Context) -> Result {
    explore(&cx, |dir| {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let dir = dir.to_owned();
        runtime.block_on(async move { rightly(&dir) })
    })
}

/// Overlooks that a write failed.
#[chaos(non_destructive)]
fn errors_are_overlooked(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    cx.fail_everywhere(
        [Errno::EIO, Errno::ENOSPC],
        |dir| {
            let mut file = File::create(dir.join("draft"))?;
            let _ = file.write_all(NEW.as_bytes());
            file.sync_all()?;
            publish(dir)
        },
        said_or_old,
    )?;
    Ok(())
}

/// Errors of any call are told, and leave the old text.
#[chaos(non_destructive)]
fn errors_are_told(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let explored = cx.fail_everywhere([Errno::EIO, Errno::ENOSPC], rightly, said_or_old)?;
    assert!(explored.points > explored.calls, "{explored:?}");
    Ok(())
}

fn said_or_old(dir: &Path, failure: InjectedFailure) -> Result {
    match fs::read_to_string(dir.join("current"))?.as_str() {
        NEW => Ok(()),
        OLD if !failure.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// Fails without any fault.
#[chaos(non_destructive)]
fn it_fails_anyway(cx: Context) -> Result {
    explore(&cx, |_| Err("no such luck".into()))
}

/// Something of the test's own is still running.
#[chaos(non_destructive)]
fn beside_a_thread(cx: Context) -> Result {
    let (begin, begun) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name("busy".to_owned())
        .spawn(move || {
            let _ = begin.send(());
            stopped.recv()
        })?;
    begun.recv()?;
    let explored = explore(&cx, rightly);
    drop(stop);
    let _ = thread.join();
    explored
}

const WRITES_WHEN_ORPHANED: &str = r#"
    while read -r stat < "/proc/$PPID/stat"; do
        case $stat in *") Z "*) break;; esac
    done
    while :; do echo >> ticks; done
"#;

/// What is explored leaves a process behind, which begins to write when its parent is dead.
#[chaos(non_destructive)]
fn a_daemon_goes_on(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            Command::new("setsid")
                .args(["sh", "-c", WRITES_WHEN_ORPHANED])
                .current_dir(dir)
                .spawn()?;
            fs::write(dir.join("file"), "")?;
            Ok(())
        },
        |dir, _| {
            let length = || {
                fs::read(dir.join("ticks"))
                    .map(|ticks| ticks.len())
                    .unwrap_or(0)
            };
            let before = length();
            thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(before, length(), "it is still being written to");
            Ok(())
        },
    )?;
    Ok(())
}

/// A call that a signal interrupts is made again, as the standard library does it.
#[chaos(non_destructive)]
fn interrupted_calls_are_made_again(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    cx.fail_everywhere(
        [Errno::EINTR],
        |dir| {
            let text = fs::read(dir.join("current"))?;
            let mut file = File::create(dir.join("draft"))?;
            file.write_all(&text)?;
            Ok(())
        },
        |dir, failure| {
            assert!(failure.acknowledged());
            assert_eq!(fs::read_to_string(dir.join("draft"))?, OLD);
            Ok(())
        },
    )?;
    Ok(())
}

/// Does something else each time that it is run.
#[chaos(non_destructive)]
fn another_way_each_time(cx: Context) -> Result {
    // Every run is a fork of this process, so it must be told from outside how many there were.
    let runs = tempfile::tempdir()?;
    let runs = runs.path();
    cx.crash_everywhere(
        |dir| {
            let number = fs::read_dir(runs)?.count();
            File::create(runs.join(number.to_string()))?;
            if number == 0 {
                fs::write(dir.join("file"), "")?;
            }
            Ok(())
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}

/// The invariant is a panic, as those of tests are.
#[chaos(non_destructive)]
fn its_check_panics(cx: Context) -> Result {
    explore_with(&cx, |_, _| {
        let never = fs::exists("/")?;
        assert!(!never, "assertion failed: never true");
        Ok(())
    })
}

fn explore_with(cx: &Context, invariant: fn(&Path, Crash) -> Result) -> Result {
    cx.crash_everywhere(rightly, invariant)?;
    Ok(())
}

/// What is run once more by the next one.
#[chaos(non_destructive)]
fn inside(cx: Context) -> Result {
    explore(&cx, rightly)
}

/// Explores a run of the harness that explores, which the kernel does not allow.
#[chaos]
fn where_calls_are_watched_already(cx: Context) -> Result {
    cx.crash_everywhere(
        |dir| {
            fs::write(dir.join("file"), "")?;
            let inner = Command::new(std::env::current_exe()?)
                .args(["--exact", "explorations::inside", "--sandbox", "none"])
                .output()?;
            let told = String::from_utf8_lossy(&inner.stdout);
            let skipped = told.contains("is notified of the system calls of this process already");
            match inner.status.success() && skipped && told.contains("0 failed") {
                true => Ok(()),
                false => Err(told.into_owned().into()),
            }
        },
        |_, _| Ok(()),
    )?;
    Ok(())
}
