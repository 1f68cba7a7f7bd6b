//! The values of `--isolation`.

use clap::ValueEnum;
use clap::builder::{EnumValueParser, TypedValueParser};
use clarity_chaos_record::Isolation;

/// How tests are kept apart, as the command line takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum IsolationArg {
    /// A process of its own, forked from a waiting single-threaded one: fast. Linux.
    Fork,
    /// A process of its own, the test binary started again: works everywhere.
    Exec,
    /// A thread of the runner, one test at a time, for debuggers: no limit of time, no sandbox, nothing is contained or captured.
    Thread,
}

/// The parser of `--isolation`.
pub(super) fn isolation() -> impl TypedValueParser<Value = Isolation> {
    EnumValueParser::<IsolationArg>::new().map(|argument| match argument {
        IsolationArg::Fork => Isolation::Fork,
        IsolationArg::Exec => Isolation::Exec,
        IsolationArg::Thread => Isolation::Thread,
    })
}
