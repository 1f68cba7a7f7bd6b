//! Mappings that explorations refuse by name.

use super::{Mapping, PAGE, open, refused};
use clarity_chaos::{Context, Result, chaos};
use nix::sys::signal::{SigSet, Signal};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect, mremap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

/// Requires that the exploration refuses `work`, with an error that contains all `words`.
fn refuse(cx: &Context, words: &[&str], work: fn(&Path) -> Result) -> Result {
    fs::write(cx.dir().join("store"), [0; 2 * PAGE])?;
    refused(cx.crash_everywhere(work, |_, _| Ok(())), words);
    Ok(())
}

/// A mapping becomes writable long after it was made.
#[chaos(non_destructive)]
fn mapping_that_becomes_writable(cx: Context) -> Result {
    fs::write(cx.dir().join("store"), [0; PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            let mapping = Mapping::new(&open(&dir.join("store"))?, ProtFlags::READ)?;
            let flags = MprotectFlags::READ | MprotectFlags::WRITE;
            // SAFETY: the range is that of the mapping.
            unsafe { mprotect(mapping.address.cast(), PAGE, flags) }?;
            mapping.store(0, b"N");
            Ok(())
        },
        |_, _| Ok(()),
    );
    refused(
        explored,
        &[
            "a shared mapping that becomes writable later",
            "mprotect of store",
        ],
    );
    Ok(())
}

/// The kernel itself would write into a mapping.
#[chaos(non_destructive)]
fn mapping_into_which_a_call_reads(cx: Context) -> Result {
    fs::write(cx.dir().join("log"), [0; 2 * PAGE])?;
    let explored = cx.crash_everywhere(
        |dir| {
            let mapping = Mapping::writable(&dir.join("log"))?;
            // SAFETY: the bytes are in the mapping.
            let bytes = unsafe { std::slice::from_raw_parts_mut(mapping.address, 8) };
            File::open("/dev/zero")?.read_exact_at(bytes, 0)?;
            Ok(())
        },
        |_, _| Ok(()),
    );
    refused(
        explored,
        &[
            "a call that can write into a writable shared mapping",
            "pread64 of log",
        ],
    );
    Ok(())
}

/// A mapping moves, and can have any address then.
#[chaos(non_destructive)]
fn mapping_that_moves(cx: Context) -> Result {
    refuse(
        &cx,
        &["a change of a writable shared mapping", "mremap of store"],
        |dir| {
            let mapping = Mapping::writable(&dir.join("store"))?;
            let flags = rustix::mm::MremapFlags::MAYMOVE;
            let length = mapping.length;
            // SAFETY: nothing uses the mapping afterwards.
            unsafe { mremap(mapping.address.cast(), length, 2 * length, flags) }?;
            std::mem::forget(mapping);
            Ok(())
        },
    )
}

/// Advice that punches a hole into the file.
#[chaos(non_destructive)]
fn mapping_whose_bytes_are_removed(cx: Context) -> Result {
    refuse(
        &cx,
        &["a change of a writable shared mapping", "madvise of store"],
        |dir| {
            let mapping = Mapping::writable(&dir.join("store"))?;
            // SAFETY: the range is that of the mapping.
            let _ = unsafe {
                madvise(
                    mapping.address.cast(),
                    PAGE,
                    rustix::mm::Advice::LinuxRemove,
                )
            };
            Ok(())
        },
    )
}

/// A mapping replaces another one at its address.
#[chaos(non_destructive)]
fn mapping_at_a_fixed_address(cx: Context) -> Result {
    refuse(&cx, &["at a fixed address", "mmap of store"], |dir| {
        let file = open(&dir.join("store"))?;
        let readable = Mapping::new(&file, ProtFlags::READ)?;
        let (protection, flags) = (
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::FIXED,
        );
        // SAFETY: the new mapping replaces one of the same length.
        unsafe {
            mmap(
                readable.address.cast(),
                2 * PAGE,
                protection,
                flags,
                &file,
                0,
            )
        }?;
        readable.store(0, b"N");
        Ok(())
    })
}

/// A thread blocks the signal by which the kernel reports a store to a protected page.
#[chaos(non_destructive)]
fn mapping_of_a_thread_that_blocks_signals(cx: Context) -> Result {
    refuse(
        &cx,
        &["a thread that blocks SIGSEGV", "mmap of store"],
        |dir| {
            let mut blocked = SigSet::empty();
            blocked.add(Signal::SIGSEGV);
            blocked.thread_block()?;
            Mapping::writable(&dir.join("store"))?.store(0, b"N");
            Ok(())
        },
    )
}

/// A thread blocks that signal after it has made the mapping.
#[chaos(non_destructive)]
fn store_of_a_thread_that_blocks_signals(cx: Context) -> Result {
    refuse(&cx, &["ended by signal 11"], |dir| {
        let mapping = Mapping::writable(&dir.join("store"))?;
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGSEGV);
        blocked.thread_block()?;
        mapping.store(0, b"N");
        Ok(())
    })
}

/// The program handles that signal itself.
#[chaos(non_destructive)]
fn mapping_beside_a_handler(cx: Context) -> Result {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, sigaction};
    extern "C" fn handle(_: i32) {}
    refuse(
        &cx,
        &["a handler of SIGSEGV, SIGTRAP or", "of store"],
        |dir| {
            let mapping = Mapping::writable(&dir.join("store"))?;
            let handler = SigHandler::Handler(handle);
            let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler does nothing.
            unsafe { sigaction(Signal::SIGTRAP, &action) }?;
            mapping.store(0, b"N");
            Ok(())
        },
    )
}

/// A forked process stores through a mapping that it has inherited.
#[chaos(non_destructive)]
fn mapping_of_a_forked_process(cx: Context) -> Result {
    refuse(&cx, &["a mapping that a forked process uses"], |dir| {
        let mapping = Mapping::writable(&dir.join("store"))?;
        mapping.store(0, b"1");
        // SAFETY: the child makes one store, and ends.
        match unsafe { nix::unistd::fork() }? {
            nix::unistd::ForkResult::Child => {
                mapping.store(0, b"2");
                std::process::abort();
            }
            nix::unistd::ForkResult::Parent { child } => {
                nix::sys::wait::waitpid(child, None)?;
            }
        }
        Ok(())
    })
}

/// Stores through a mapping. `mapping_of_another_program` runs this test in a second runner.
#[chaos]
fn inside(_cx: Context) -> Result {
    if let Some(path) = std::env::var_os("MAPPED_FILE") {
        Mapping::writable(Path::new(&path))?.store(0, b"N");
    }
    Ok(())
}

/// A program that `exec` started stores through a mapping.
#[chaos]
fn mapping_of_another_program(cx: Context) -> Result {
    refuse(
        &cx,
        &["a writable shared mapping of a program that `exec` started"],
        |dir| {
            Command::new(std::env::current_exe()?)
                .args(["--exact", "explorations::mappings::refused::inside"])
                .args(["--sandbox", "none"])
                .env("MAPPED_FILE", dir.join("store"))
                .output()?;
            Ok(())
        },
    )
}
