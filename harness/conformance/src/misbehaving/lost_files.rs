//! Faults on files outside of the test's directory, for runs whose runner is killed.
//!
//! The directory of the files is in the variable `MISBEHAVING_DIR`. Each file has the name of the
//! fault that damages it.

use clarity_chaos::fault::{
    BitFlip, Delete, Displace, Extend, FaultGuard, Garbage, Permissions, Replace, TornWrite,
    Truncate, Zeros,
};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

fn directory() -> Result<PathBuf> {
    let path = std::env::var_os("MISBEHAVING_DIR").ok_or("MISBEHAVING_DIR names a directory")?;
    Ok(PathBuf::from(path))
}

/// Injects each fault that changes files, each into its own file or directory.
fn damage_all(cx: &Context) -> Result<Vec<FaultGuard>> {
    let directory = directory()?;
    let at = |name: &str| directory.join(name);
    let mut guards = vec![
        cx.inject(Delete::new(at("delete")))?.untyped(),
        cx.inject(Delete::new(at("delete_directory")))?.untyped(),
        cx.inject(Displace::new(at("displace")))?.untyped(),
        cx.inject(Displace::new(at("displace_empty")))?.untyped(),
        cx.inject(Displace::new(at("displace_by_symlink")).by_symlink("nowhere"))?
            .untyped(),
        cx.inject(Truncate::new(at("truncate")))?.untyped(),
        cx.inject(BitFlip::new(at("bit_flip")))?.untyped(),
        cx.inject(Garbage::new(at("garbage")))?.untyped(),
        cx.inject(Extend::new(at("extend")))?.untyped(),
        cx.inject(Zeros::new(at("zeros")))?.untyped(),
        cx.inject(Replace::new(at("replace"), at("source")))?
            .untyped(),
        cx.inject(TornWrite::new(at("torn"), at("source")))?
            .untyped(),
        cx.inject(Garbage::new(at("twice")))?.untyped(),
        cx.inject(Truncate::new(at("twice")))?.untyped(),
    ];
    // Permissions do not restrict root, so root cannot inject this fault.
    if !rustix::process::geteuid().is_root() {
        guards.push(cx.inject(Permissions::new(at("permissions")))?.untyped());
    }
    Ok(guards)
}

/// Injects and undoes all faults again and again. Ends when the test is asked to.
#[chaos(timeout = "10min")]
fn damages_again_and_again(cx: Context) -> Result {
    loop {
        let guards = damage_all(&cx)?;
        cx.note("all faults are in effect");
        thread::sleep(Duration::from_micros(cx.rng().random_range(0..20_000)));
        for guard in guards.into_iter().rev() {
            guard.undo();
        }
    }
}

/// Injects all faults, and hangs.
#[chaos(timeout = "10min")]
fn hangs_with_all_faults(cx: Context) -> Result {
    let _guards = damage_all(&cx)?;
    cx.note("all faults are in effect");
    loop {
        thread::park();
    }
}

/// Injects all faults, and hangs. Does not end at `SIGTERM`.
#[chaos(timeout = "10min")]
fn hangs_and_ignores_requests(cx: Context) -> Result {
    let _guards = damage_all(&cx)?;
    // SAFETY: this action runs no code.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }?;
    cx.note("all faults are in effect");
    loop {
        thread::park();
    }
}
