//! The definition that the command line is parsed by, and that `--help` shows.

use super::Options;
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory as _};

/// The command line, with libtest-mimic's own flags told as they are here: some that do nothing there do something, and others have no use.
pub(super) fn definition() -> Command {
    let told = |id, heading, help| {
        move |command: Command| {
            command.mut_arg(id, |argument: Arg| {
                argument.help_heading(heading).help(help).long_help(help)
            })
        }
    };
    let hidden = |id| move |command: Command| command.mut_arg(id, |argument| argument.hide(true));

    let mut command = Options::command();
    command = told(
        "filter",
        "Selection",
        "Run only tests whose names contain FILTER; given several times, any of them",
    )(command);
    command = told("exact", "Selection", "FILTERs and --skip are whole names")(command);
    command = told(
        "skip",
        "Selection",
        "Leave out tests whose names contain FILTER (repeatable)",
    )(command);
    command = told(
        "list",
        "Selection",
        "List the selected tests with their tags and scenarios; with --format terse, their names alone",
    )(command);
    command = told(
        "test_threads",
        "Running",
        "How many tests run at the same time [default: as many as there are processors]",
    )(command);
    command = told(
        "nocapture",
        "Reports",
        "Show what tests print while they run, and not only what failed ones printed",
    )(command);
    command = told(
        "show_output",
        "Reports",
        "Show what passed tests printed, too",
    )(command);
    command = told("quiet", "Reports", "One character per test: --format terse")(command);
    command = told("format", "Reports", "How tests are told while they run")(command);
    command = told("color", "Reports", "Whether to use colours")(command);
    command = told(
        "logfile",
        "Reports",
        "Write libtest's lines to this file instead of standard output",
    )(command);
    // An empty variable is how a workflow says that an optional input was not given.
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
    // Variables that say yes or no: `1` and `off` do, as well.
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

/// The names of the variables that stand in for options.
pub(crate) fn variables() -> Vec<String> {
    let command = Options::command();
    let names = command.get_arguments().filter_map(Arg::get_env);
    names
        .filter_map(|name| Some(name.to_str()?.to_owned()))
        .collect()
}
