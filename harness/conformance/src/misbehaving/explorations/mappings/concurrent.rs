//! Mappings of several threads and processes.

use super::{Mapping, PAGE, log};
use clarity_chaos::{Context, Result, chaos};
use std::fs;

/// Threads store to pages of one mapping in any order.
#[chaos(non_destructive)]
fn threads_with_one_mapping(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 4 * PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            let mapping = Mapping::writable(&dir.join("log"))?;
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let mapping = &mapping;
                    scope.spawn(move || {
                        for round in 1..=50 {
                            mapping.store(thread * PAGE, &[round]);
                        }
                    });
                }
            });
            Ok(())
        },
        |dir, crash| {
            let log = fs::read(dir.join("log"))?;
            match crash.acknowledged() && (0..4).any(|page| log[page * PAGE] != 50) {
                true => Err("a store is missing".into()),
                false => Ok(()),
            }
        },
    )?;
    assert!(explored.points >= 4, "{explored:?}");
    Ok(())
}

/// Another process maps the file after the first one has ended.
#[chaos(non_destructive)]
fn mappings_of_processes_one_after_another(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            // SAFETY: the child makes system calls and a store, and ends.
            match unsafe { nix::unistd::fork() }? {
                nix::unistd::ForkResult::Child => {
                    let stored = log(dir, |log| {
                        log.store(0, b"1");
                        Ok(())
                    });
                    std::process::exit(i32::from(stored.is_err()));
                }
                nix::unistd::ForkResult::Parent { child } => {
                    nix::sys::wait::waitpid(child, None)?;
                }
            }
            log(dir, |log| {
                log.store(PAGE, b"2");
                Ok(())
            })
        },
        |dir, _| {
            let log = fs::read(dir.join("log"))?;
            match (log[0], log[PAGE]) {
                (0 | b'1', 0) | (b'1', b'2') => Ok(()),
                found => Err(format!("found {found:?}").into()),
            }
        },
    )?;
    assert_eq!((explored.calls, explored.points), (2, 2), "{explored:?}");
    Ok(())
}
