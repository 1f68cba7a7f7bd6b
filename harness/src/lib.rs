#![doc = include_str!("../README.md")]
//!
//! The guide is the module [`guide`].
//!
//! # Concepts
//!
//! The list follows the order in which a new user needs the concepts:
//!
//! - [`chaos`] registers a test; [`main!`] runs all registered tests.
//! - [`Context`] is the argument of a test. It gives the test a seed, a directory, a clock and a
//!   timeline.
//! - A [`fault`] damages a target and later undoes the damage. [`fault::SystemCall`] disturbs
//!   system calls of the code under test: calls fail, take longer or transfer fewer bytes.
//! - A [`network::Link`] connects a client and a server. Faults disturb the link's traffic.
//! - A [`process::Process`] is a program that the test starts. Faults stop or kill the program.
//! - [`explore`] finds every point of an operation at which an interruption makes a difference. At
//!   each point, the exploration kills the operation, makes a call fail, or simulates a power loss.
//! - A [`RunSetup`] starts programs once for all tests of a run, such as a database. Tests reach
//!   them as services.
//! - Oracles are assertions in the code under test. [`always!`] must hold at each evaluation.
//!   [`sometimes!`] must hold in at least one case of a sweep. [`reachable!`] must be reached in at
//!   least one case.
//! - The [`clock`](Context::clock) of a test shows real time or Tokio's virtual time.
//! - A [`Verdict`] is the result of one run of a test. A [`Record`] describes that run completely,
//!   as JSON.
//!
//! # Guarantees
//!
//! - Every test runs in a process of its own and always gets a verdict. A hang, an abort, a stack
//!   overflow or an early `exit` ends only that test. A test passes only if its timeline records
//!   that the test's body has finished.
//! - On Linux all processes of a test end when the test ends, daemons included. The one exception
//!   is a test that runs without the sandbox and kills its own supervisor. On other systems only
//!   the test's process group or process tree ends. On these systems the harness finds no leaked
//!   processes, threads or descriptors.
//! - On Linux, all tests of a run start with the same surroundings: processors, limits, signals,
//!   umask, environment, descriptors, working directory and priority. Earlier tests do not change
//!   them.
//! - The random numbers of a test depend only on the root seed and on the test's `seed_name`. The
//!   default of `seed_name` is the test's name. The harness controls neither the order of threads
//!   nor the network.
//! - A test tagged `non_destructive` can change nothing outside its own directory. Such a test
//!   can reach no other machine, and no process outside the sandbox except for the services of the
//!   run's [set-up](guide::fixtures). The test fails when it leaks
//!   a process, thread, descriptor, temporary file or shared memory. [`Context::allow_leak`]
//!   declares an intended leak. [`Sandbox`] lists each protection and its mechanism. A run prints
//!   the protections in its second line, before the first test.
//! - A test undoes its faults at its timeout. It also undoes them when Ctrl-C or an outer test
//!   runner interrupts the run. When a test is killed, the runner undoes the test's faults in files
//!   outside the test's directory. A killed test's faults in its own directory, on links and on
//!   programs need no undo. The report still names the faults that were in effect.
//!
//! # Sandbox
//!
//! - A test can read the system's files. In the user's home directory, a test can read four things:
//!   the repository, Cargo's target directory, the toolchain without its credentials, and the
//!   directories of `PATH`. The repository is the nearest directory with a `.git` above the working
//!   directory. A test can list neither `/` nor the directories above the home directory.
//! - A test can write below [`Context::dir`], to its temporary directory (`TMPDIR`) and to shared
//!   memory. All three are empty at the start of the test. `/tmp` and the repository are read-only,
//!   and `/run` is empty. The only network is a private loopback interface.
//! - A test has the user's ID, no capabilities, and no way to gain capabilities: `sudo` fails.
//! - Code that is instrumented for coverage writes its data to the path in `LLVM_PROFILE_FILE`.
//!   Without this variable, it writes to `profiles/` in the history.

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
/// A chaos test evaluates the oracles. The test's [`Record`] lists the oracles that the test
/// reached.
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
/// The crate `rand`, in the version that this harness uses. The generator that
/// [`Context::rng`] returns implements the traits of `rand`. So does the generator that
/// [`fault::Fault::draw`] takes.
pub use rand;
/// The crate `rand_chacha`, in the version that this harness uses. [`fault::Fault::draw`] takes a
/// generator of `rand_chacha`.
pub use rand_chacha;
pub use test::clock::Clock;
pub use test::context::Context;
pub use test::outcome::{Result, Skipped};
pub use test::run_setup::RunSetup;
pub use test::{explore, fault, network, process};

/// Expands to the `main` function of a chaos-test target. The function runs the [`chaos`] tests
/// that are linked into the target.
///
/// The linker includes a library's tests only if the target's source mentions the library. If the
/// target uses nothing else from the library, write
///
/// ```ignore
/// use my_lib as _; // links the chaos tests of `my_lib`
///
/// clarity_chaos::main!();
/// ```
///
/// # Threads that outlive their test
///
/// Some libraries keep a thread pool until the process ends, by design. The pool's threads are not
/// a leak of the test that starts the pool. To exempt these threads from the leak check, list the
/// prefixes of their names:
///
/// ```ignore
/// clarity_chaos::main!(lasting_threads = ["rayon-"]);
/// ```
///
/// # Set-up and tear-down of a run
///
/// A set-up runs once, before the first test, in a process of its own outside of the sandbox. It
/// starts programs such as a database, and gives their addresses to the tests. The tear-down gets
/// the value that the set-up has returned. Without a `teardown`, the value is dropped.
///
/// ```ignore
/// clarity_chaos::main!(setup = start_database, teardown = stop_database);
///
/// fn start_database(run: &mut RunSetup) -> Result<Database> { /* … */ }
///
/// fn stop_database(database: Database) -> Result { /* … */ }
/// ```
///
/// `lasting_threads` can follow. [`RunSetup`] describes the argument of the set-up, and
/// [the guide](guide::fixtures) explains both functions.
///
/// # Libraries with tests
///
/// `--list` does not show the tests of a library that the target does not mention.
/// [Troubleshooting](guide::troubleshooting) explains how to find such a library. A target without
/// any test prints a warning.
#[macro_export]
macro_rules! main {
    (@fixture) => {
        ::core::option::Option::None
    };
    (@fixture $setup:expr $(, $teardown:expr)?) => {{
        static FUNCTIONS: $crate::__private::RunFixture = $crate::__private::RunFixture::new(|run| {
            $crate::__private::RunFixture::call(run, $setup, $crate::main!(@teardown $($teardown)?))
        });
        ::core::option::Option::Some($crate::__private::Fixture {
            setup: ::core::stringify!($setup),
            teardown: $crate::main!(@name $($teardown)?),
            location: (::core::file!(), ::core::line!()),
            functions: &FUNCTIONS,
        })
    }};
    (@teardown) => {
        ::core::mem::drop
    };
    (@teardown $teardown:expr) => {
        $teardown
    };
    (@name) => {
        ::core::option::Option::None
    };
    (@name $teardown:expr) => {
        ::core::option::Option::Some(::core::stringify!($teardown))
    };
    (
        $(setup = $setup:expr $(, teardown = $teardown:expr)?)?
        $(, lasting_threads = [$($prefix:expr),* $(,)?])? $(,)?
    ) => {
        $crate::main!(@main [$($($prefix),*)?] $($setup $(, $teardown)?)?);
    };
    (lasting_threads = [$($prefix:expr),* $(,)?] $(,)?) => {
        $crate::main!(@main [$($prefix),*]);
    };
    (@main [$($prefix:expr),*] $($fixture:expr),*) => {
        fn main() -> ::std::process::ExitCode {
            $crate::__private::main($crate::__private::Origin {
                package: ::core::env!("CARGO_PKG_NAME"),
                package_dir: ::core::env!("CARGO_MANIFEST_DIR"),
                target: ::core::env!("CARGO_CRATE_NAME"),
                binary: ::core::option_env!("CARGO_BIN_NAME"),
                target_tmpdir: ::core::option_env!("CARGO_TARGET_TMPDIR"),
                lasting_threads: &[$($prefix),*],
                fixture: $crate::main!(@fixture $($fixture),*),
            })
        }
    };
}

/// The items that generated code uses; not public API.
#[doc(hidden)]
#[forbid(unsafe_code)]
pub mod __private {
    pub use crate::journal::{UndoHandler, call_undo_handler};
    pub use crate::registration::TestCase;
    pub use crate::registration::origin::{Fixture, Origin};
    pub use crate::runner::entry::main;
    pub use crate::test::body::Body;
    pub use crate::test::outcome::{BodyOutcome, IntoOutcome};
    pub use crate::test::run_fixture::RunFixture;
    pub use clarity_chaos_record::{ClockKind, Limits};
    pub use inventory;
}
