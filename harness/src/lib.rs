#![doc = include_str!("../README.md")]
//!
//! The guide is the module [`guide`].
//!
//! # Concepts
//!
//! In the order in which a new user needs them:
//!
//! - [`chaos`] registers a test, [`main!`] runs all of them.
//! - [`Context`] is the argument of a test. It has the test's seed, directory, clock and timeline.
//! - A [`fault`] damages its target and undoes the damage. [`fault::SystemCall`] makes system calls
//!   of the code under test fail, take longer or do less.
//! - A [`network::Link`] is between a client and a server. Faults disturb its traffic.
//! - A [`process::Process`] is a program that the test starts. Faults stop and kill it.
//! - [`explore`] finds every point of an operation at which an interruption makes a difference. At
//!   each of them it kills the operation, makes a call fail, or cuts the power.
//! - Oracles are assertions in the code under test. [`always!`] holds at each evaluation;
//!   [`sometimes!`] and [`reachable!`] hold in at least one case of a sweep.
//! - The [`clock`](Context::clock) is real, or Tokio's virtual time.
//! - A [`Verdict`] is the result of a test. A [`Record`] is its complete description, as JSON.
//!
//! # Guarantees
//!
//! - Every test runs in a process of its own and always gets a verdict. A hang, an abort, a stack
//!   overflow or an early `exit` ends that test alone. A test passes only if its own record says
//!   so.
//! - On Linux all processes of a test end with it, daemons included. Outside of the sandbox, a test
//!   that kills its own supervisor is an exception. On other systems the test's process group or
//!   tree ends, and the harness does not notice other leaks.
//! - The random numbers of a test depend on the root seed and the test's name alone. The harness
//!   does not control the order of threads, or the network.
//! - A test tagged `non_destructive` can change nothing outside of its own directory, and reach no
//!   machine or process outside. It fails when it leaks a process, thread, descriptor, temporary
//!   file or shared memory. [`Context::allow_leak`] declares an intended leak. [`Sandbox`] lists
//!   each protection and its mechanism. The second line of a run prints them before the first test.
//! - A test undoes its faults when it is asked to end: at its timeout, at Ctrl-C, or by another
//!   runner. The runner undoes the faults of a killed test in files outside of its directory. The
//!   directory, links and programs of the test are gone by then. The report still names the faults
//!   that were in effect.
//!
//! # Sandbox
//!
//! - A test may read the system. In the user's home it may read four things: the repository,
//!   Cargo's target directory, the toolchain without its credentials, the directories of `PATH`.
//!   The repository is the nearest directory with a `.git` above the working directory. A test
//!   cannot list `/`, or the directories on the path to the home.
//! - It may write below [`Context::dir`], to its temporary directory (`TMPDIR`) and to shared
//!   memory. All are empty at first. `/tmp` and the repository are read-only, and `/run` is empty.
//!   The network is a loopback interface of the test's own.
//! - It has the user's ID, without capabilities and without a way to gain any: `sudo` does not
//!   work.
//! - Instrumented code writes its coverage to the path in `LLVM_PROFILE_FILE`.

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
/// The oracles of the crate `clarity-chaos-oracles`. Production code can depend on that crate
/// without this harness.
///
/// A chaos test evaluates them. Its [`Record`] lists those that it reached.
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
    BodyEnd, CapturedOutput, ClockKind, Enforcement, Event, EventKind, ExploredCall, FailedAttempt,
    HungThread, Isolation, Leaks, Limits, Minimized, OracleId, OracleKind, ReadError, Record,
    Resources, Sandbox, Seed, SeenOracle, Verdict,
};
/// The random-number traits that the generators of [`Context::rng`] and [`fault::Fault::draw`]
/// implement, in their version.
pub use rand;
/// The generators themselves, in the version that [`fault::Fault::draw`] takes.
pub use rand_chacha;
pub use test::clock::Clock;
pub use test::context::Context;
pub use test::outcome::{Result, Skipped};
pub use test::{explore, fault, network, process};

/// Expands to the `main` function of a chaos-test target: the runner of all [`chaos`] tests that
/// are linked into it.
///
/// The linker includes tests of a library only if the target's source mentions the library. If the
/// target uses nothing else of it, write
///
/// ```ignore
/// use my_lib as _; // links the chaos tests of `my_lib`
///
/// clarity_chaos::main!();
/// ```
///
/// # Threads that outlive their test
///
/// A library may keep a pool of threads until the process ends, by design. Such threads are not a
/// leak of the test that starts them. List the prefixes of their names:
///
/// ```ignore
/// clarity_chaos::main!(lasting_threads = ["rayon-"]);
/// ```
///
/// # Libraries with tests
///
/// `--list` does not show the tests of a library that the target does not mention. A target without
/// any test prints a warning. [Troubleshooting](guide::troubleshooting) explains how to find such
/// libraries.
#[macro_export]
macro_rules! main {
    () => {
        $crate::main!(lasting_threads = []);
    };
    (lasting_threads = [$($prefix:expr),* $(,)?] $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::__private::main($crate::__private::Origin {
                package: ::core::env!("CARGO_PKG_NAME"),
                package_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                target: ::core::env!("CARGO_CRATE_NAME"),
                binary: ::core::option_env!("CARGO_BIN_NAME"),
                target_tmpdir: ::core::option_env!("CARGO_TARGET_TMPDIR"),
                lasting_threads: &[$($prefix),*],
            })
        }
    };
}

/// Not public API: generated code uses it.
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod __private {
    pub use crate::journal::{UndoHandler, call_undo_handler};
    pub use crate::registration::TestCase;
    pub use crate::registration::origin::Origin;
    pub use crate::runner::entry::main;
    pub use crate::test::body::Body;
    pub use crate::test::outcome::{BodyOutcome, IntoOutcome};
    pub use clarity_chaos_record::{ClockKind, Limits};
    pub use inventory;
}
