//! Mappings of files whose names change, of processes that die alone, and of invariants.

use super::{Mapping, PAGE, broken, log};
use clarity_chaos::explore::{Crash, ExploreError, Explored, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};
use rustix::mm::ProtFlags;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The stores to a file must be durable before its first name.
#[chaos(non_destructive)]
fn mapped_file_without_a_name(cx: Context) -> Result {
    fn save(dir: &Path, sync: fn(&Mapping, &File) -> Result) -> Result {
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        let file: File = openat(CWD, dir, flags, Mode::from_raw_mode(0o644))?.into();
        file.set_len(PAGE as u64)?;
        let mapping = Mapping::new(&file, ProtFlags::READ | ProtFlags::WRITE)?;
        mapping.store(0, b"new text");
        sync(&mapping, &file)?;
        let source = format!("/proc/self/fd/{}", file.as_raw_fd());
        linkat(CWD, source, CWD, dir.join("text"), AtFlags::SYMLINK_FOLLOW)?;
        Ok(File::open(dir)?.sync_all()?)
    }
    fn text_is_whole(dir: &Path, crash: Crash) -> Result {
        match fs::read(dir.join("text")) {
            Ok(text) if text.starts_with(b"new text") => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !crash.acknowledged() => {
                Ok(())
            }
            found => Err(format!("found {:?}", found.map(|text| text.len())).into()),
        }
    }
    let explore = |sync: fn(&Mapping, &File) -> Result| {
        cx.explore()
            .power_loss(PowerLoss::Journaled)
            .crash_everywhere(|dir| save(dir, sync), text_is_whole)
    };
    explore(|mapping, file| {
        mapping.sync(0, PAGE)?;
        Ok(file.sync_all()?)
    })?;
    broken(
        explore(|_, _| Ok(())),
        &["store of 8 bytes at 0 of (a file without a name)"],
    );
    Ok(())
}

/// A store changes the file in its present place, also when another file has the old name.
#[chaos(non_destructive)]
fn mapped_file_that_is_renamed(cx: Context) -> Result {
    fs::write(cx.dir().join("draft"), [0; PAGE])?;
    let explore = |sync: fn(&Mapping) -> Result| {
        cx.explore()
            .power_loss(PowerLoss::Journaled)
            .crash_everywhere(
                |dir| {
                    let mapping = Mapping::writable(&dir.join("draft"))?;
                    fs::rename(dir.join("draft"), dir.join("current"))?;
                    fs::write(dir.join("draft"), "another file")?;
                    File::open(dir.join("draft"))?.sync_all()?;
                    File::open(dir)?.sync_all()?;
                    mapping.store(0, b"1");
                    sync(&mapping)
                },
                |dir, crash| match fs::read(dir.join("current")) {
                    Ok(found) if found[0] == b'1' => Ok(()),
                    _ if !crash.acknowledged() => Ok(()),
                    _ => Err("the store is missing".into()),
                },
            )
    };
    explore(|mapping| mapping.sync(0, PAGE))?;
    broken(
        explore(|_| Ok(())),
        &["store of 1 bytes at 0 of current", "the store is missing"],
    );
    Ok(())
}

/// A process with a mapping dies alone. Another one then writes to the file.
#[chaos(non_destructive)]
fn process_that_dies_beside_a_mapping(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let explored = cx.explore().one_process_dies().crash_everywhere(
        |dir| {
            // SAFETY: the child makes system calls and stores, and ends.
            match unsafe { nix::unistd::fork() }? {
                nix::unistd::ForkResult::Child => {
                    let stored = log(dir, |log| {
                        log.store(0, b"1");
                        log.store(PAGE, b"2");
                        Ok(())
                    });
                    std::process::exit(i32::from(stored.is_err()));
                }
                nix::unistd::ForkResult::Parent { child } => {
                    nix::sys::wait::waitpid(child, None)?;
                }
            }
            super::open(&dir.join("log"))?.write_all_at(b"p", 1)?;
            Ok(())
        },
        |dir, crash| {
            let log = fs::read(dir.join("log"))?;
            let is_in_order = log[PAGE] == 0 || log[0] == b'1';
            match is_in_order && (!crash.acknowledged() || log[1] == b'p') {
                true => Ok(()),
                false => Err(format!("found {:?}", (log[0], log[1], log[PAGE])).into()),
            }
        },
    )?;
    assert_eq!(explored.calls, 3, "{explored:?}");
    assert!(explored.points > 3, "{explored:?}");
    Ok(())
}

/// An invariant repairs a mapped file in a wrong and in a right order.
#[chaos(non_destructive)]
fn recovery_through_a_mapping(cx: Context) -> Result {
    let mut store = vec![0; 2 * PAGE];
    store[0] = b'!';
    fs::write(cx.dir().join("log"), store)?;
    let explore = |repair: fn(&Mapping) -> Result| -> Result<Explored, ExploreError> {
        cx.explore().crash_during_recovery().crash_everywhere(
            |dir| Ok(fs::write(dir.join("other"), "text")?),
            |dir, _| {
                log(dir, |_| Ok(()))?;
                if fs::read(dir.join("log"))?[0] == b'!' {
                    log(dir, repair)?;
                }
                match fs::read(dir.join("log"))?[PAGE] {
                    b'R' => Ok(()),
                    found => Err(format!("found {found:?}").into()),
                }
            },
        )
    };
    explore(|log| {
        log.store(PAGE, b"R");
        log.store(0, b"-");
        Ok(())
    })?;
    broken(
        explore(|log| {
            log.store(0, b"-");
            log.store(PAGE, b"R");
            Ok(())
        }),
        &["store of 1 bytes at 4096 of log", "found 0"],
    );
    Ok(())
}
