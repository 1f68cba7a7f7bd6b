//! Mapped files that the program rebuilds after each start.

use super::{Mapping, PAGE, broken, open, refused};
use clarity_chaos::explore::{Crash, Explored, PowerLoss};
use clarity_chaos::{Context, Result, chaos};
use rustix::mm::{MapFlags, ProtFlags, mmap, mprotect};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A log with an index in a mapped file, of which the log needs nothing.
fn append(dir: &Path) -> Result {
    let log = open(&dir.join("log"))?;
    let index = Mapping::writable(&dir.join("log-index"))?;
    index.store(0, &[1]);
    index.store(PAGE, &[1]);
    // The kernel itself can write to the pages of a volatile file.
    // SAFETY: the bytes are in the mapping.
    let bytes = unsafe { std::slice::from_raw_parts_mut(index.address.add(8), 1) };
    log.read_exact_at(bytes, 0)?;
    log.write_all_at(b"N", 0)?;
    log.sync_data()?;
    index.store(0, &[2]);
    Ok(())
}

fn explore(
    cx: &Context,
    invariant: fn(&Path, Crash) -> Result,
) -> Result<Explored, clarity_chaos::explore::ExploreError> {
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .volatile("*-index")
        .crash_everywhere(append, invariant)
}

/// Gives the first byte of the index, if there is an index.
fn index(dir: &Path) -> Option<u8> {
    fs::read(dir.join("log-index")).ok().map(|index| index[0])
}

/// Whether most bytes of the index are in no content that the program has written.
fn has_random_index(dir: &Path) -> bool {
    fs::read(dir.join("log-index")).is_ok_and(|index| {
        let strange = index.iter().filter(|byte| ![0, 1, 2, 9].contains(*byte));
        strange.count() > PAGE
    })
}

/// A loss of power leaves any content of the index, or none. The death of the process leaves the
/// last one.
#[chaos(non_destructive)]
fn index_that_is_rebuilt(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), "old")?;
    fs::write(cx.dir().join("log-index"), [9; 2 * PAGE])?;
    let explored = explore(&cx, |dir, crash| {
        let log = fs::read(dir.join("log"))?;
        match (log[0], crash.power_lost(), index(dir)) {
            (b'o', false, _) if crash.acknowledged() => Err("the log is lost".into()),
            // The index of a process that died before the write.
            (b'o', false, Some(1)) => Ok(()),
            (b'N', false, Some(1 | 2)) => Ok(()),
            (b'o' | b'N', true, _) => Ok(()),
            found => Err(format!("found {found:?}").into()),
        }
    })?;
    assert_eq!((explored.calls, explored.points), (2, 1), "{explored:?}");
    for is_wanted in [
        |dir: &Path| index(dir).is_none(),
        |dir: &Path| index(dir) == Some(0),
        |dir: &Path| index(dir) == Some(9),
        |dir: &Path| index(dir) == Some(2),
        has_random_index,
    ] {
        // An invariant has no captures, so the state is found in the parent.
        let explored = cx
            .explore()
            .power_loss(PowerLoss::Journaled)
            .volatile("*-index")
            .crash_everywhere(append, move |dir, crash| {
                match crash.power_lost() && is_wanted(dir) {
                    true => Err("this content was tried".into()),
                    false => Ok(()),
                }
            });
        broken(explored, &["the power failed", "this content was tried"]);
    }
    Ok(())
}

/// The program trusts the index after a loss of power.
#[chaos(non_destructive)]
fn index_that_is_trusted(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), "old")?;
    fs::write(cx.dir().join("log-index"), [9; 2 * PAGE])?;
    let explored = explore(&cx, |dir, _| match index(dir) {
        Some(1 | 2) => Ok(()),
        Some(9) => Ok(()),
        found => Err(format!("the index has {found:?}").into()),
    });
    broken(explored, &["the power failed", "the index has"]);
    Ok(())
}

/// A volatile file can be mapped in any way.
#[chaos(non_destructive)]
fn index_at_a_fixed_address(cx: Context) -> Result {
    fs::write(cx.dir().join("log-index"), [9; 2 * PAGE])?;
    let explored = cx.explore().volatile("log-*").crash_everywhere(
        |dir| {
            let file = open(&dir.join("log-index"))?;
            let readable = Mapping::new(&file, ProtFlags::READ)?;
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            let address = readable.address.cast();
            // SAFETY: the new mapping replaces one of the same length.
            unsafe { mmap(address, 2 * PAGE, ProtFlags::READ, flags, &file, 0) }?;
            let flags = rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE;
            // SAFETY: the range is that of the mapping.
            unsafe { mprotect(address, PAGE, flags) }?;
            readable.store(0, b"N");
            fs::write(dir.join("log"), "")?;
            Ok(())
        },
        |dir, _| match index(dir) {
            Some(b'N') => Ok(()),
            found => Err(format!("the index has {found:?}").into()),
        },
    );
    explored?;
    Ok(())
}

/// A robust mutex in a mapped file is released by the kernel when its process dies.
fn lock(dir: &Path) -> Result {
    use nix::libc::{
        PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED, pthread_mutex_init, pthread_mutex_lock,
        pthread_mutex_t, pthread_mutex_unlock, pthread_mutexattr_init,
        pthread_mutexattr_setpshared, pthread_mutexattr_setrobust,
    };
    let file = Mapping::writable(&dir.join("lock"))?;
    let mutex = file.address.cast::<pthread_mutex_t>();
    let mut attributes = std::mem::MaybeUninit::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: the mutex is initialized before it is locked, and both are in memory of their sizes.
    unsafe {
        pthread_mutexattr_init(attributes);
        pthread_mutexattr_setpshared(attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(mutex, attributes);
        pthread_mutex_lock(mutex);
    }
    fs::write(dir.join("log"), "")?;
    // SAFETY: this thread holds the mutex.
    unsafe { pthread_mutex_unlock(mutex) };
    Ok(())
}

/// A robust mutex is refused, unless its file is volatile.
#[chaos(non_destructive)]
fn robust_mutex(cx: Context) -> Result {
    fs::write(cx.dir().join("lock"), [0; PAGE])?;
    let explored = cx.crash_everywhere(lock, |_, _| Ok(()));
    refused(
        explored,
        &["a robust mutex", "name the file with `volatile`"],
    );
    cx.explore()
        .volatile("lock")
        .crash_everywhere(lock, |_, _| Ok(()))?;
    Ok(())
}
