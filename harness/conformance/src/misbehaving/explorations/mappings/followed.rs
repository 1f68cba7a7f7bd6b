//! Stores through mappings that explorations follow.

use super::{Mapping, PAGE, broken, log, open};
use clarity_chaos::explore::{Crash, Errno, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use rustix::mm::{MprotectFlags, MsyncFlags, ProtFlags, mprotect, munmap};
use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A program writes with `pwrite`, and reads through a mapping of a file that is open for writing.
#[chaos(non_destructive)]
fn mapping_that_is_only_read(cx: Context) -> Result {
    fn save(dir: &Path, sync: fn(&File) -> Result) -> Result {
        let file = open(&dir.join("store"))?;
        let mapping = Mapping::new(&file, ProtFlags::READ)?;
        file.write_all_at(b"N", 1)?;
        if mapping.load(1) != b'N' {
            return Err("the mapping does not show the write".into());
        }
        sync(&file)?;
        file.write_all_at(b"N", 0)?;
        sync(&file)
    }
    /// The first byte says whether the second one is new.
    fn mark_follows_data(dir: &Path, _: Crash) -> Result {
        match &fs::read(dir.join("store"))?[..2] {
            b"oo" | b"oN" | b"NN" => Ok(()),
            found => Err(format!("found {found:?}").into()),
        }
    }
    fs::write(cx.dir().join("store"), [b'o'; PAGE + 1])?;
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(
            |dir| save(dir, |file| Ok(file.sync_data()?)),
            mark_follows_data,
        )?;
    // The two bytes are in one sector, so only the order of the writes matters.
    let explored = cx.crash_everywhere(
        |dir| {
            let file = open(&dir.join("store"))?;
            let _mapping = Mapping::new(&file, ProtFlags::READ)?;
            file.write_all_at(b"N", 0)?;
            file.write_all_at(b"N", 1)?;
            Ok(())
        },
        mark_follows_data,
    );
    broken(explored, &["pwrite64 of 1 bytes at 1 of store"]);
    Ok(())
}

fn header_means_record(dir: &Path, crash: Crash) -> Result {
    let log = fs::read(dir.join("log"))?;
    match (log[0], &log[PAGE..PAGE + 6]) {
        (1, b"record") => Ok(()),
        (0, _) if !crash.acknowledged() => Ok(()),
        found => Err(format!("found {found:?}").into()),
    }
}

/// A log whose header reaches the mapping, or the disk, before the record.
#[chaos(non_destructive)]
fn mapped_log(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let explore = |write: fn(&Mapping) -> Result| {
        cx.explore()
            .power_loss(PowerLoss::Journaled)
            .crash_everywhere(|dir| log(dir, write), header_means_record)
    };
    let explored = explore(|log| {
        log.store(PAGE, b"record");
        log.sync(PAGE, PAGE)?;
        log.store(0, &[1]);
        log.sync(0, PAGE)
    })?;
    assert_eq!((explored.calls, explored.points), (4, 2), "{explored:?}");
    assert!(explored.all_states, "{explored:?}");
    // A death between the two stores.
    broken(
        explore(|log| {
            log.store(0, &[1]);
            log.store(PAGE, b"record");
            log.sync(0, 2 * PAGE)
        }),
        &[
            "died in the place of call 2 of 3, store of 6 bytes at 4096 of log",
            "mappings.rs:",
        ],
    );
    // A loss of power between the two stores.
    broken(
        explore(|log| {
            log.store(PAGE, b"record");
            log.store(0, &[1]);
            log.sync(0, 2 * PAGE)
        }),
        &[
            "the power failed before call 3 of 3, msync of 8192 bytes at 0 of log",
            "nothing had synced it: call 1 of 3, store of 6 bytes at 4096 of log",
        ],
    );
    // `MS_ASYNC` makes nothing durable, and neither does a sync of another page.
    broken(
        explore(|log| {
            log.store(PAGE, b"record");
            log.sync_with(PAGE, PAGE, MsyncFlags::ASYNC)?;
            log.store(0, &[1]);
            log.sync(0, 2 * PAGE)
        }),
        &["the power failed before call 4 of 4"],
    );
    broken(
        explore(|log| {
            log.store(PAGE, b"record");
            log.sync(0, PAGE)?;
            log.store(0, &[1]);
            log.sync(0, 2 * PAGE)
        }),
        &["the power failed before call 4 of 4"],
    );
    Ok(())
}

/// A page is changed, then another one, then the first one again.
#[chaos(non_destructive)]
fn page_that_is_changed_twice(cx: Context) -> Result {
    fn change_twice(dir: &Path) -> Result {
        log(dir, |log| {
            log.store(0, b"busy");
            log.store(PAGE, b"1");
            log.store(0, b"idle");
            Ok(())
        })
    }
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let explored = cx.crash_everywhere(change_twice, |dir, _| {
        let log = fs::read(dir.join("log"))?;
        match (&log[..4], log[PAGE]) {
            (b"\0\0\0\0", 0) | (b"busy", _) | (b"idle", b'1') => Ok(()),
            found => Err(format!("found {found:?}").into()),
        }
    })?;
    assert_eq!((explored.calls, explored.points), (3, 3), "{explored:?}");
    // The state between the second and the third store is found.
    let explored =
        cx.crash_everywhere(
            change_twice,
            |dir, _| match &fs::read(dir.join("log"))?[..] {
                log if log[..4] == *b"busy" && log[PAGE] == b'1' => Err("busy".into()),
                _ => Ok(()),
            },
        );
    broken(
        explored,
        &["died in the place of call 3 of 3, store of 4 bytes at 0 of log"],
    );
    Ok(())
}

/// A program changes one page through a mapping and with `pwrite`.
#[chaos(non_destructive)]
fn page_that_is_mapped_and_written(cx: Context) -> Result {
    fn count(dir: &Path) -> Result {
        let file = open(&dir.join("log"))?;
        let mapping = Mapping::writable(&dir.join("log"))?;
        for round in 1..=3_u8 {
            mapping.store(0, &[round]);
            file.write_all_at(&[round], 1)?;
            mapping.store(2, &[round]);
            assert_eq!(mapping.load(1), round);
        }
        Ok(())
    }
    fn is_descending(dir: &Path, _: Crash) -> Result {
        let log = fs::read(dir.join("log"))?;
        match log[0] >= log[1] && log[1] >= log[2] && log[0] <= log[2] + 1 {
            true => Ok(()),
            false => Err(format!("found {:?}", &log[..3]).into()),
        }
    }
    fs::write(cx.dir().join("log"), [0; PAGE])?;
    let explored = cx.crash_everywhere(count, is_descending)?;
    // The stores between two calls are one change of the page.
    assert_eq!(explored.calls, 7, "{explored:?}");
    let explored = cx.crash_everywhere(count, |dir, crash| {
        is_descending(dir, crash)?;
        match &fs::read(dir.join("log"))?[..3] {
            [3, 2, 2] => Err("the third round has begun".into()),
            _ => Ok(()),
        }
    });
    broken(
        explored,
        &["died in the place of call 6 of 7, pwrite64 of 1 bytes at 1 of log"],
    );
    Ok(())
}

/// One instruction changes two pages.
#[chaos(non_destructive)]
fn word_across_the_border_of_two_pages(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 3 * PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            log(dir, |log| {
                for word in 1..=2 {
                    log.store_word(PAGE - 4, word * 0x0101_0101_0101_0101);
                    log.store_word(2 * PAGE - 4, word * 0x0101_0101_0101_0101);
                }
                Ok(())
            })
        },
        |dir, _| {
            let log = fs::read(dir.join("log"))?;
            for border in [PAGE, 2 * PAGE] {
                let word = &log[border - 4..border + 4];
                if word.iter().any(|byte| *byte != word[0]) {
                    return Err(format!("half a word: {word:?}").into());
                }
            }
            Ok(())
        },
    )?;
    assert_eq!(explored.calls, 4, "{explored:?}");
    Ok(())
}

/// A counter in a mapped file is right for each of its readers.
#[chaos(non_destructive)]
fn mapped_counter(cx: Context) -> Result {
    fn count(dir: &Path, sync: fn(&Mapping) -> Result) -> Result {
        let counter = Mapping::writable(&dir.join("counter"))?;
        let next = counter.load(0) + 1;
        counter.store(0, &[next]);
        sync(&counter)
    }
    fn is_counted(dir: &Path, crash: Crash) -> Result {
        match fs::read(dir.join("counter"))?[0] {
            8 => Ok(()),
            7 if !crash.acknowledged() => Ok(()),
            found => Err(format!("counted to {found}").into()),
        }
    }
    fs::write(cx.dir().join("counter"), [7])?;
    let explore = |sync: fn(&Mapping) -> Result| {
        cx.explore()
            .power_loss(PowerLoss::Ext4Ordered)
            .crash_everywhere(|dir| count(dir, sync), is_counted)
    };
    explore(|counter| counter.sync(0, 1))?;
    broken(
        explore(|_| Ok(())),
        &[
            "after the operation had returned success",
            "nothing had synced it: call 1 of 1, store of 1 bytes at 0 of counter",
        ],
    );
    Ok(())
}

/// Ignores the error of `msync`, after which the store is lost.
#[chaos(non_destructive)]
fn failed_sync_of_a_mapping(cx: Context) -> Result {
    fn is_stored(dir: &Path, failure: clarity_chaos::explore::InjectedFailure) -> Result {
        match (fs::read(dir.join("log"))?[0], failure.acknowledged()) {
            (0, true) => Err("a store is missing".into()),
            _ => Ok(()),
        }
    }
    fs::write(cx.dir().join("log"), [0; PAGE])?;
    let explore = |write: fn(&Mapping) -> Result| {
        cx.explore()
            .power_loss(PowerLoss::Journaled)
            .fail_everywhere([Errno::EIO], |dir| log(dir, write), is_stored)
    };
    explore(|log| {
        log.store(0, &[1]);
        log.sync(0, PAGE)
    })?;
    broken(
        explore(|log| {
            log.store(0, &[1]);
            // The second sync finds nothing to write.
            log.sync(0, PAGE).or_else(|_| log.sync(0, PAGE))
        }),
        &["msync of 4096 bytes at 0 of log", "then the power failed"],
    );
    Ok(())
}

/// A mapping is protected for a while, then split.
#[chaos(non_destructive)]
fn mapping_that_is_protected_for_a_while(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 3 * PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            log(dir, |log| {
                log.store(0, b"1");
                for flags in [
                    MprotectFlags::READ,
                    MprotectFlags::READ | MprotectFlags::WRITE,
                ] {
                    // SAFETY: the range is that of the mapping.
                    unsafe { mprotect(log.address.cast(), log.length, flags) }?;
                }
                log.store(0, b"2");
                // SAFETY: nothing uses this page any more.
                unsafe { munmap(log.address.add(PAGE).cast(), PAGE) }?;
                log.store(2 * PAGE, b"3");
                log.sync(2 * PAGE, PAGE)
            })
        },
        |dir, _| {
            let log = fs::read(dir.join("log"))?;
            match (log[0], log[2 * PAGE]) {
                (0 | b'1' | b'2', 0) | (b'2', b'3') => Ok(()),
                found => Err(format!("found {found:?}").into()),
            }
        },
    )?;
    assert_eq!((explored.calls, explored.points), (4, 3), "{explored:?}");
    Ok(())
}

/// A mark is stored before its data, in the same page.
#[chaos(non_destructive)]
fn stores_to_one_page(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let mark_follows_data = |dir: &Path, _: Crash| {
        let log = fs::read(dir.join("log"))?;
        match (log[0], &log[PAGE - 4..PAGE + 4]) {
            (0, _) | (1, [7, 7, 7, 7, 7, 7, 7, 7]) => Ok(()),
            found => Err(format!("found {found:?}").into()),
        }
    };
    let explore = |write: fn(&Mapping) -> Result| {
        cx.explore()
            .each_store()
            .crash_everywhere(|dir| log(dir, write), mark_follows_data)
    };
    let explored = explore(|log| {
        log.store_word(PAGE - 4, 0x0707_0707_0707_0707);
        log.store(0, &[1]);
        Ok(())
    })?;
    assert_eq!((explored.calls, explored.points), (2, 2), "{explored:?}");
    broken(
        explore(|log| {
            log.store(0, &[1]);
            log.store_word(PAGE - 4, 0x0707_0707_0707_0707);
            Ok(())
        }),
        &["died in the place of call 2 of 2, store of 8 bytes at 4092 of log"],
    );
    Ok(())
}
