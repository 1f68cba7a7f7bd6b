//! The values of `--isolation`.

use clap::ValueEnum;
use clap::builder::{EnumValueParser, TypedValueParser};
use clarity_chaos_record::Isolation;

/// The kinds of isolation, as the command line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IsolationArg {
    /// A process for each test, forked from a waiting single-threaded process: fast; Linux only.
    Fork,
    /// A process for each test, which executes the test binary again; works on any system.
    Exec,
    /// The runner's process, one test at a time, for debuggers: no time limit, no sandbox, no
    /// containment, no captured output.
    Thread,
}

/// Returns the parser of `--isolation`.
pub(super) fn isolation() -> impl TypedValueParser<Value = Isolation> {
    EnumValueParser::<IsolationArg>::new().map(|argument| match argument {
        IsolationArg::Fork => Isolation::Fork,
        IsolationArg::Exec => Isolation::Exec,
        IsolationArg::Thread => Isolation::Thread,
    })
}
