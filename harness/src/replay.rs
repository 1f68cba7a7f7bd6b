//! Commands that run the same again.

use crate::cli::{DEFAULT_TIMEOUT, Options};
use crate::origin::Origin;
use crate::sandbox::SandboxScope;
use crate::seed::Seed;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;

/// The command that runs a test again as it ran now.
pub(crate) fn one_case(origin: &Origin, options: &Options, test: &str, root_seed: Seed) -> String {
    let start = origin.command();
    let mut text = format!("{start} --exact {test} --seed {root_seed}");
    if let Some(isolation) = options.isolation {
        let _ = write!(text, " --isolation {isolation}");
    }
    if options.sandbox != SandboxScope::DEFAULT {
        let _ = write!(text, " --sandbox {}", options.sandbox);
    }
    if options.timeout != DEFAULT_TIMEOUT {
        let timeout = humantime::format_duration(options.timeout).to_string();
        let _ = write!(text, " --timeout {}", quoted(&timeout));
    }
    if options.check_determinism {
        text.push_str(" --check-determinism");
    }
    text
}

/// The command that repeats this whole run: the arguments and variables that it was given, with the seed that it has drawn.
pub(crate) fn whole_run(origin: &Origin, seed: Seed) -> String {
    let seed = format!("--seed {seed}");
    command(origin, &seed, env::args_os().skip(1), env::vars_os())
}

/// The command that runs what failed in this run, each test with the seed that it failed with.
pub(crate) fn what_failed(origin: &Origin) -> String {
    let arguments = env::args_os().skip(1);
    let arguments =
        arguments.filter(|argument| !["--last-failed", "--lf"].contains(&&*lossy(argument)));
    command(origin, "--last-failed", arguments, env::vars_os())
}

/// What was given but the seed, and in the place of that something else.
fn command(
    origin: &Origin,
    instead: &str,
    arguments: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> String {
    let mut text = String::new();
    let mut set: Vec<_> = variables
        .map(|(name, value)| (lossy(&name), lossy(&value)))
        .filter(|(name, value)| {
            name.starts_with("CHAOS_") && name != "CHAOS_SEED" && !value.is_empty()
        })
        .collect();
    set.sort();
    for (name, value) in set {
        let _ = write!(text, "{name}={} ", quoted(&value));
    }
    // Before the others, among which may be a `--` after which nothing is an option.
    let _ = write!(text, "{} {instead}", origin.command());
    let mut arguments = arguments.map(|argument| lossy(&argument));
    while let Some(argument) = arguments.next() {
        if argument == "--seed" {
            arguments.next();
        } else if !argument.starts_with("--seed=") {
            let _ = write!(text, " {}", quoted(&argument));
        }
    }
    text
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// As a POSIX shell reads it as one word.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_repeated_with_its_selection_and_the_seed_that_it_had() {
        let origin = Origin {
            package: "mine",
            package_dir: "",
            target: "chaos",
            binary: None,
            target_tmpdir: None,
        };
        let told = |arguments: &[&str], variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            let arguments = arguments.iter().map(OsString::from);
            command(&origin, "--seed 7", arguments, variables)
        };
        assert_eq!(
            told(&["-m", "not slow", "--seed", "last", "a'b"], &[]),
            r"cargo test -p mine --test chaos -- --seed 7 -m 'not slow' 'a'\''b'"
        );
        let variables = [("CHAOS_TAG", "a b"), ("CHAOS_SEED", "1"), ("HOME", "/")];
        assert_eq!(
            told(&["--seed=3"], &variables),
            "CHAOS_TAG='a b' cargo test -p mine --test chaos -- --seed 7"
        );
    }
}
