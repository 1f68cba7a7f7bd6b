//! A chaos-test harness: seeded faults, a process per test, honest verdicts.
//!
//! A chaos test breaks something on purpose and shows that the system under test bears it. Here is one, whole; it goes to
//! `chaos_tests/main.rs`, and the target to `Cargo.toml` as
//!
//! ```toml
//! [dev-dependencies]
//! clarity-chaos = "0.1"
//!
//! [[test]]
//! name = "chaos"
//! path = "chaos_tests/main.rs"
//! harness = false
//! ```
//!
//! ```standalone_crate
//! # fn main() -> std::process::ExitCode {
//! use clarity_chaos::fault::BitFlip;
//! use clarity_chaos::{Context, Result, chaos};
//! use std::fs;
//!
//! /// One bit of a saved file rots on the disk. Reading it back must fail; it must never give another value.
//! #[chaos(non_destructive, timeout = "10s")]
//! fn one_rotten_bit_is_noticed(cx: Context) -> Result {
//!     let path = cx.dir().join("value");
//!     fs::write(&path, "42 42")?; // your code here: save with a checksum
//!     let _rot = cx.inject(BitFlip::in_file(&path))?; // which bit: drawn from the seed, told in the record
//!     let text = fs::read(&path)?; // your code here: load and verify
//!     assert_ne!(text, b"42 42");
//!     Ok(())
//! }
//!
//! clarity_chaos::main!();
//! # main() }
//! ```
//!
//! `cargo test --test chaos` runs it; `-- --help` explains the rest. The [`guide`] takes you from an empty project to a first bug found in ten minutes.
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

#[cfg(target_os = "linux")]
mod affinity;
mod appended;
mod attempt;
mod audit;
mod blocking;
#[cfg(target_os = "linux")]
mod calls;
mod case;
mod cli;
mod clock;
mod confinement;
mod console;
mod context;
mod descriptors;
mod determinism;
#[cfg(unix)]
mod dispositions;
mod duration;
mod end_request;
mod ending;
mod entry;
mod evidence;
mod exit;
pub mod explore;
pub mod fault;
#[cfg(target_os = "linux")]
mod fork;
pub mod guide;
mod history;
mod home;
mod hung;
#[cfg(target_os = "linux")]
mod instrumentation;
mod interruption;
mod isolation;
mod limits;
mod logs;
mod marker;
mod minimizer;
pub mod network;
mod oracle;
mod oracle_counts;
mod order;
mod origin;
mod other_filesystem;
mod outcome;
mod output;
mod panics;
mod pool;
pub mod process;
mod record;
mod registration;
mod regressions;
mod removal;
mod replay;
mod report;
mod resources;
mod results;
mod retelling;
mod role;
mod run;
mod run_dir;
mod runner;
mod sandbox;
mod seed;
mod seeds;
mod selection;
mod shard;
mod slot;
#[cfg(target_os = "linux")]
mod sockets;
mod supervisor;
mod surroundings;
mod sweep;
mod test_process;
mod test_time;
mod timeline;
mod timestamps;
mod verdict;
mod wall_clock;
mod watched;
mod workspace;

pub use clarity_chaos_macros::chaos;
pub use clock::Clock;
pub use context::Context;
pub use hung::HungThread;
pub use isolation::Isolation;
pub use limits::Limits;
pub use oracle::{OracleId, OracleKind, SeenOracle};
pub use outcome::{Result, Skipped};
/// The random-number traits that generators of [`Context::rng`] implement, in the version that they do.
pub use rand;
pub use record::{FailedAttempt, Leaks, Minimized, Output, Record, Resources};
pub use sandbox::{Enforcement, Sandbox};
pub use seed::Seed;
pub use test_time::ClockKind;
pub use timeline::{BodyEnd, Event, ExploredCall, What};
pub use verdict::Verdict;

/// The README's first chaos test must compile as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

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
pub mod __private {
    pub use crate::entry::main;
    pub use crate::oracle::{Cataloged, Oracle, oracles_are_watched};
    pub use crate::origin::Origin;
    pub use crate::outcome::{IntoOutcome, Outcome};
    pub use crate::registration::{Body, TestCase};
    pub use crate::test_time::ClockKind;
    pub use inventory;
}
