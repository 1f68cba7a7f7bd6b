#![doc = include_str!("../README.md")]
//!
//! The guide is the module [`guide`].
//!
//! # The concepts, in the order in which one needs them
//!
//! - [`chaos`] registers a test, [`main!`] runs all of them.
//! - [`Context`] is what a test is handed: its seed, directory, clock and timeline.
//! - [`fault`]s damage things and take the damage back; [`fault::SystemCall`] lets calls of the code under test fail, come late or do less.
//! - A [`network::Link`] stands between a client and a server, and can be disturbed.
//! - A [`process::Process`] is a program that the test starts, and can be stopped and killed.
//! - [`explore`] lets an operation die, or its calls fail, or the power, at every single point where that makes a difference.
//! - Oracles, [`always!`], [`sometimes!`] and [`reachable!`], say in the code under test what must hold, or happen in some case of a sweep.
//! - The [`clock`](Context::clock) is real, or Tokio's virtual time.
//! - A [`Verdict`] is the result of a test, a [`Record`] everything known about it, as JSON.
//!
//! # Which guarantees hold
//!
//! - Every test runs in a process of its own and always gets a verdict: a hang, an abort, a stack overflow or an early `exit` ends
//!   that test and nothing else. A test has passed only when its own record says so.
//! - On Linux all processes that a test starts end with it, daemons included; outside of the sandbox, unless it kills its own supervisor. Elsewhere the test's
//!   process group or tree does, and what else it leaves behind is not noticed.
//! - What a test draws depends on the root seed and its name alone. The order of threads and the network are the test's own affair.
//! - A test tagged `non_destructive` can change nothing outside of its own folder and reach nobody, and fails when it leaves something behind: a process, thread,
//!   descriptor, temporary file or shared memory ([`Context::allow_leak`] declares what is meant to stay). [`Sandbox`] says part by part what was enforced,
//!   and by what; the second line of a run tells it before the first test.
//! - A test that is asked to end, because its time is up, at Ctrl-C or by another runner, undoes its faults first. For a test that is killed outright
//!   the runner undoes them: what was done to files elsewhere; its own directory, links and programs go with it. The report names faults that are still in effect all the same.
//!
//! # What the sandbox does to a test
//!
//! - It may read the system, but of the user's home no more than the repository (the nearest folder with a `.git` above the working directory), Cargo's target
//!   folder, the toolchain without its credentials, and the folders of `PATH`; and it cannot list `/`, nor the folders on the way to the home.
//! - It may write below [`Context::dir`], to its temporary folder (`TMPDIR`) and to shared memory, all of which are empty at first. `/tmp` and
//!   the repository are read-only, `/run` is empty, and so is the network but for a loopback of the test's own.
//! - It has the user's number, but neither capabilities nor the means to get any: `sudo` and the like do not work.
//! - Coverage of instrumented code is written where `LLVM_PROFILE_FILE` says.

#![deny(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

#[forbid(unsafe_code)]
mod data;
#[forbid(unsafe_code)]
pub mod guide;
#[forbid(unsafe_code)]
mod journal;
mod os;
#[forbid(unsafe_code)]
mod registration;
#[forbid(unsafe_code)]
mod runner;
#[forbid(unsafe_code)]
mod sandbox;
#[forbid(unsafe_code)]
mod supervisor;
#[forbid(unsafe_code)]
mod syscalls;
#[forbid(unsafe_code)]
mod test;

pub use clarity_chaos_macros::chaos;
/// Test oracles of the crate `clarity-chaos-oracles`, which production code can depend on without
/// this harness. A chaos test evaluates them, and its [`Record`] has those that it reached.
///
/// ```
/// let (stored, sent, retries) = (1, 1, 0);
/// clarity_chaos::always!(stored == sent, "the stored value is the sent one");
/// clarity_chaos::sometimes!(retries > 0, "a request is retried");
/// if retries > 2 {
///     clarity_chaos::reachable!("the fallback answers");
/// }
/// ```
pub use clarity_chaos_oracles::{always, reachable, sometimes};
pub use clarity_chaos_record::{
    BodyEnd, ClockKind, Enforcement, Event, EventKind, ExploredCall, FailedAttempt, HungThread,
    Isolation, Leaks, Limits, Minimized, OracleId, OracleKind, Output, Record, Resources, Sandbox,
    Seed, SeenOracle, Verdict,
};
/// The random-number traits that the generators of [`Context::rng`] and [`fault::Fault::draw`] implement, in their version.
pub use rand;
/// The generators themselves, in the version that [`fault::Fault::draw`] takes.
pub use rand_chacha;
pub use test::clock::Clock;
pub use test::context::Context;
pub use test::outcome::{Result, Skipped};
pub use test::{explore, fault, network, process};

/// Writes the `main` function of a chaos-test target: the runner for all [`chaos`] tests that are
/// linked into it.
///
/// Tests of a library are linked only if the target's source mentions the library. Where nothing else of it is used, write
///
/// ```ignore
/// use my_lib as _; // links the chaos tests of `my_lib`
///
/// clarity_chaos::main!();
/// ```
///
/// The tests of a library that is not mentioned are missing from `--list`. A target without any test warns.
/// [Troubleshooting](guide::troubleshooting) says how to find such libraries.
#[macro_export]
macro_rules! main {
    () => {
        fn main() -> ::std::process::ExitCode {
            $crate::__private::main($crate::__private::Origin {
                package: ::core::env!("CARGO_PKG_NAME"),
                package_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                target: ::core::env!("CARGO_CRATE_NAME"),
                binary: ::core::option_env!("CARGO_BIN_NAME"),
                target_tmpdir: ::core::option_env!("CARGO_TARGET_TMPDIR"),
            })
        }
    };
}

/// Not public API: used by the code that the macros generate.
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod __private {
    pub use crate::journal::{UndoHandler, call_undo_handler};
    pub use crate::registration::origin::Origin;
    pub use crate::registration::{Body, TestCase};
    pub use crate::runner::entry::main;
    pub use crate::test::outcome::{IntoOutcome, Outcome};
    pub use clarity_chaos_record::{ClockKind, Limits};
    pub use inventory;
}
