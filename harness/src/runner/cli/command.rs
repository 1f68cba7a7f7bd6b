//! Builds the command for `clap`, with the help texts of libtest's flags.

use super::nightly_flags::TIME_LIMITS;
use super::options::Options;
use super::values::is_not_zero;
use clap::builder::{BoolishValueParser, Resettable};
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use std::ffi::OsStr;

/// Builds the command. Describes libtest-mimic's flags as this runner implements them, and hides
/// flags without effect.
pub(super) fn command() -> Command {
    let describe = |id, heading, help| {
        move |command: Command| {
            command.mut_arg(id, |argument: Arg| {
                argument.help_heading(heading).help(help).long_help(help)
            })
        }
    };
    let hidden = |id| move |command: Command| command.mut_arg(id, |argument| argument.hide(true));

    let mut command = Options::command();
    command = describe(
        "filter",
        "Selection",
        "Run only tests whose names contain FILTER (repeatable: any of the filters)",
    )(command);
    command = describe(
        "exact",
        "Selection",
        "Match FILTERs and --skip against whole names",
    )(command);
    command = describe(
        "skip",
        "Selection",
        "Exclude tests whose names contain FILTER (repeatable)",
    )(command);
    command = describe(
        "list",
        "Selection",
        "List the selected tests with their tags and scenarios; with --format terse, only their names",
    )(command);
    command = describe(
        "test_threads",
        "Running",
        "Number of tests that run at the same time [default: number of processors]",
    )(command);
    command = describe(
        "nocapture",
        "Reports",
        "Show the output of tests while they run, not only that of failed tests",
    )(command);
    command = describe(
        "show_output",
        "Reports",
        "Show the output of passed tests too",
    )(command);
    command = describe(
        "quiet",
        "Reports",
        "Print one character per test, as --format terse",
    )(command);
    command = describe("format", "Reports", "Format of the output")(command);
    command = describe("color", "Reports", "Whether to use colours")(command);
    command = describe(
        "logfile",
        "Reports",
        "Write the output to this file instead of standard output",
    )(command);
    command = like_libtest(command);
    // An empty environment variable counts as unset. CI workflows set an empty variable for an
    // optional input that is absent.
    let empty: Vec<clap::Id> = command
        .get_arguments()
        .filter(|argument| argument.get_id() != NO_CAPTURE)
        .filter(|argument| {
            let value = argument.get_env().and_then(std::env::var_os);
            value.is_some_and(|value| value.is_empty())
        })
        .map(|argument| argument.get_id().clone())
        .collect();
    for id in empty {
        command = command.mut_arg(id, |argument| argument.env(None::<&'static str>));
    }
    // Environment variables of boolean flags also accept values such as `1` and `off`.
    command = command.mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue if is_ours(&argument) => {
            argument.value_parser(BoolishValueParser::new())
        }
        _ => argument,
    });
    for id in [
        "include_ignored",
        "ignored",
        "test",
        "bench",
        "unstable_flags",
    ] {
        command = hidden(id)(command);
    }
    command
}

/// The ID of `--nocapture`.
const NO_CAPTURE: &str = "nocapture";

/// Makes libtest-mimic's flags accept the arguments and variables that libtest accepts.
fn like_libtest(mut command: Command) -> Command {
    // libtest ignores `--bench` if `--test` is given, and `--quiet` if `--format` is given.
    for id in ["test", "quiet"] {
        command = command.mut_arg(id, |argument| argument.conflicts_with(Resettable::Reset));
    }
    command
        .mut_arg(NO_CAPTURE, |argument| {
            argument
                .visible_alias("no-capture")
                .overrides_with(NO_CAPTURE)
                .env("RUST_TEST_NOCAPTURE")
                .value_parser(is_not_zero)
                .default_value("0")
        })
        .mut_arg("test_threads", |argument| argument.env("RUST_TEST_THREADS"))
        .mut_arg("unstable_flags", |argument| {
            argument.overrides_with("unstable_flags")
        })
}

/// Whether a variable of the harness, and not of libtest, sets the argument.
fn is_ours(argument: &Arg) -> bool {
    let variable = argument.get_env().and_then(OsStr::to_str);
    variable.is_some_and(|variable| variable.starts_with("CHAOS_"))
}

/// Returns the names of the environment variables that set options, or values of options.
pub(crate) fn variables() -> Vec<String> {
    let command = command();
    let names = command.get_arguments().filter_map(Arg::get_env);
    names
        .filter_map(OsStr::to_str)
        .chain([TIME_LIMITS])
        .map(ToOwned::to_owned)
        .collect()
}
