//! Builds the command for `clap`, with the help texts of libtest's flags.

use super::options::Options;
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

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
    // An empty environment variable counts as unset. CI workflows set an empty variable for an
    // optional input that is absent.
    let empty: Vec<clap::Id> = command
        .get_arguments()
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
        ArgAction::SetTrue if argument.get_env().is_some() => {
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

/// Returns the names of the environment variables that set options.
pub(crate) fn variables() -> Vec<String> {
    let command = Options::command();
    let names = command.get_arguments().filter_map(Arg::get_env);
    names
        .filter_map(|name| Some(name.to_str()?.to_owned()))
        .collect()
}
