//! Explorations of operations that save a file. Most of the operations are wrong.

mod acknowledgements;
mod call_identity;
mod durability;
mod errors;
mod evidence;
mod extent;
mod failed_syncs;
mod failures;
mod identities;
mod kernel_refusals;
mod large;
mod leftovers;
mod mappings;
mod minimized;
mod preparations;
mod processes;
mod recoveries;
mod refused;
mod short_transfers;
mod terminations;
mod times;
mod unnamed_files;
mod ways_to_write;

use clarity_chaos::explore::{Crash, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::thread;

const OLD: &str = "the old text";
const NEW: &str = "a new text, which is longer";

/// Requires the old or the new text in `current`. Requires the new text if `save` returned success.
fn old_or_new(dir: &Path, crash: Crash) -> Result {
    match fs::read_to_string(dir.join("current"))?.as_str() {
        NEW => Ok(()),
        OLD if !crash.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// Explores crashes and power losses during `save`. Checks `old_or_new` after each crash and each
/// power loss.
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

fn sync_directory(dir: &Path) -> Result {
    File::open(dir)?.sync_all()?;
    Ok(())
}

fn rightly(dir: &Path) -> Result {
    draft(dir)?.sync_all()?;
    publish(dir)?;
    sync_directory(dir)
}

/// Writes a draft, syncs the draft, renames it, and syncs the directory.
#[chaos(non_destructive)]
fn the_right_way(cx: Context) -> Result {
    explore(&cx, rightly)
}

/// Overwrites the old text in place.
#[chaos(non_destructive)]
fn in_place(cx: Context) -> Result {
    explore(&cx, |dir| Ok(fs::write(dir.join("current"), NEW)?))
}

/// Does not sync the draft.
#[chaos(non_destructive)]
fn without_sync(cx: Context) -> Result {
    explore(&cx, |dir| {
        draft(dir)?;
        publish(dir)?;
        sync_directory(dir)
    })
}

/// Syncs the draft only after the rename.
#[chaos(non_destructive)]
fn sync_after_rename(cx: Context) -> Result {
    explore(&cx, |dir| {
        let draft = draft(dir)?;
        publish(dir)?;
        draft.sync_all()?;
        sync_directory(dir)
    })
}

/// Does not sync the directory.
#[chaos(non_destructive)]
fn without_sync_of_the_folder(cx: Context) -> Result {
    explore(&cx, |dir| {
        draft(dir)?.sync_all()?;
        publish(dir)
    })
}

/// Writes the draft on another file system, and copies the draft over `current`.
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
            sync_directory(dir)
        },
        old_or_new,
    )?;
    Ok(())
}

/// Replaces the index before writing the file that the new index names.
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

/// Acknowledges a rename after a sync of another file.
fn rename_and_sync_another(cx: &Context, model: PowerLoss) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let save = |dir: &Path| {
        draft(dir)?.sync_all()?;
        publish(dir)?;
        File::create(dir.join("marker"))?.sync_all()?;
        Ok(())
    };
    cx.explore()
        .power_loss(model)
        .crash_everywhere(save, old_or_new)?;
    Ok(())
}

/// On ext4, the sync of a new file makes all earlier names durable.
#[chaos(non_destructive)]
fn names_by_another_sync_on_ext4(cx: Context) -> Result {
    rename_and_sync_another(&cx, PowerLoss::Ext4Ordered)
}

/// On Btrfs, the sync of a new file makes no other name durable.
#[chaos(non_destructive)]
fn names_by_another_sync_on_btrfs(cx: Context) -> Result {
    rename_and_sync_another(&cx, PowerLoss::Journaled)
}

/// Saves the file with the crate `atomicwrites`.
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

/// Requests io_uring, which could write without system calls, and gets ENOSYS.
#[chaos(non_destructive)]
fn by_io_uring(cx: Context) -> Result {
    use nix::libc::{ENOSYS, SYS_io_uring_setup, syscall};
    explore(&cx, |dir| {
        let mut parameters = [0_u8; 120];
        // SAFETY: the call writes to at most these 120 bytes.
        let made = unsafe { syscall(SYS_io_uring_setup, 1_u32, parameters.as_mut_ptr()) };
        let error = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((made, error), (-1, Some(ENOSYS)));
        rightly(dir)
    })
}

/// Three threads write one file each. Then a fourth file marks the three files as complete.
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

/// Starts `cp`, and removes the old file before the copy replaces it.
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

/// Starts a shell that replaces itself with another program by `exec`.
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
    // The three crash points are the creation of the file, the write, and the creation of the
    // directory.
    assert_eq!(explored.points, 3, "{explored:?}");
    Ok(())
}

/// A task of a new Tokio runtime saves the file.
#[chaos(non_destructive)]
fn by_a_task(cx: Context) -> Result {
    explore(&cx, |dir| {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let dir = dir.to_owned();
        runtime.block_on(async move { rightly(&dir) })
    })
}

const WRITES_WHEN_ORPHANED: &str = r#"
    while read -r stat < "/proc/$PPID/stat"; do
        case $stat in *") Z "*) break;; esac
    done
    while :; do echo >> ticks; done
"#;

/// Starts a daemon that writes after the daemon's parent has died.
#[chaos(non_destructive)]
fn a_daemon_goes_on(cx: Context) -> Result {
    // The mark makes this daemon's command line unique among the daemons of all tests.
    let mark = format!("# daemon of {}", std::process::id());
    let script = format!("{WRITES_WHEN_ORPHANED}{mark}");
    let explored = cx.crash_everywhere(
        |dir| {
            Command::new("setsid")
                .args(["sh", "-c", &script])
                .current_dir(dir)
                .spawn()?;
            fs::write(dir.join("file"), "")?;
            Ok(())
        },
        |dir, _| {
            // The daemon must have ended. It is not enough that the daemon cannot write.
            for process in fs::read_dir("/proc")?.flatten() {
                let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line);
                assert!(!line.contains(&mark), "the daemon still runs");
            }
            let length = || {
                fs::read(dir.join("ticks"))
                    .map(|ticks| ticks.len())
                    .unwrap_or(0)
            };
            let before = length();
            thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(before, length(), "the daemon still writes");
            Ok(())
        },
    )?;
    assert!(explored.points > 0, "{explored:?}");
    Ok(())
}
