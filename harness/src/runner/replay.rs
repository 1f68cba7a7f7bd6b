//! Builds the commands that repeat a case, a run, or the failures of a run.

use crate::registration::origin::Origin;
use crate::runner::cli::nightly_flags::TIME_LIMITS;
use crate::runner::cli::{HomeChoice, Options, variables as variables_of_options};
use clarity_chaos_record::Seed;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;

/// The environment variable of `--seed`.
const SEED: &str = "CHAOS_SEED";

/// Returns the command that repeats a case: the test `test` with `root_seed`.
pub(crate) fn case_command(
    origin: &Origin,
    options: &Options,
    test: &str,
    root_seed: Seed,
) -> String {
    let start = origin.command();
    let mut text = format!("{start} --exact {test} --seed {root_seed}");
    // The command finds the same profile. An option that only the profile sets is left out, since
    // as an option it would also replace the profile's overrides.
    let given = |option: &str| options.given.contains(option);
    if let Some(config) = &options.profiles.config {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.clone());
        let _ = write!(text, " --config {}", quoted(&config.to_string_lossy()));
    }
    if let Some(profile) = &options.profiles.profile {
        let _ = write!(text, " --profile {}", quoted(profile));
    }
    if let (Some(isolation), true) = (options.isolation, given("isolation")) {
        let _ = write!(text, " --isolation {isolation}");
    }
    if given("sandbox") {
        let _ = write!(text, " --sandbox {}", options.sandbox);
    }
    if given("home") {
        let home = match options.home {
            HomeChoice::Own => "own",
            HomeChoice::Runner => "runner",
        };
        let _ = write!(text, " --home {home}");
    }
    if given("timeout") {
        let timeout = humantime::format_duration(options.timeout).to_string();
        let _ = write!(text, " --timeout {}", quoted(&timeout));
    }
    if options.check_determinism && given("check_determinism") {
        text.push_str(" --check-determinism");
    }
    if options.nightly.ensures_time() {
        text.push_str(" --ensure-time");
        if let Some(limits) = env::var_os(TIME_LIMITS).filter(|limits| !limits.is_empty()) {
            text = format!("{TIME_LIMITS}={} {text}", quoted(&limits.to_string_lossy()));
        }
    }
    text
}

/// Returns the command that repeats this run with `seed` as the root seed. The command contains the
/// arguments and environment variables of this run. Adds `--shuffle-seed` if there is a
/// `shuffle_seed`, and `--known-seeds first` if `tries_known` is true. Returns `None` if an
/// argument or an environment variable is not UTF-8.
pub(crate) fn run_command(
    origin: &Origin,
    seed: Seed,
    shuffle_seed: Option<u64>,
    tries_known: bool,
) -> Option<String> {
    let order = shuffle_seed.map_or(String::new(), |seed| format!(" --shuffle-seed {seed}"));
    let known = if tries_known {
        " --known-seeds first"
    } else {
        ""
    };
    let seed = format!("--seed {seed}{order}{known}");
    command(origin, &seed, env::args_os().skip(1), env::vars_os())
}

/// Returns the command that repeats the failed tests of this run, each with its failing seed.
/// Returns `None` if an argument or an environment variable is not UTF-8.
pub(crate) fn failures_command(origin: &Origin) -> Option<String> {
    let arguments = env::args_os().skip(1);
    let arguments = arguments.filter(|argument| argument != "--last-failed" && argument != "--lf");
    command(origin, "--last-failed", arguments, env::vars_os())
}

/// Returns the command with the arguments and environment variables of this run. `replacement`
/// takes the place of the seed option.
fn command(
    origin: &Origin,
    replacement: &str,
    arguments: impl Iterator<Item = OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Option<String> {
    let mut text = String::new();
    // Only environment variables of the harness are printed. Other variables could contain secrets.
    let ours = variables_of_options();
    let mut set = Vec::new();
    for (name, value) in variables.filter(|(_, value)| !value.is_empty()) {
        if let Some(name) = ours.iter().find(|ours| name == ours.as_str()) {
            set.push((name.as_str(), value.into_string().ok()?));
        }
    }
    set.sort();
    for (name, value) in set {
        let value = match name {
            SEED if replacement.contains("--seed") => continue,
            // An empty variable counts as unset, and overrides a seed in the caller's environment.
            SEED => String::new(),
            _ => quoted(&value),
        };
        let _ = write!(text, "{name}={value} ");
    }
    // `replacement` precedes the other arguments, because a `--` among those arguments ends the
    // options.
    let _ = write!(text, "{} {replacement}", origin.command());
    let mut arguments = arguments.map(OsString::into_string);
    while let Some(argument) = arguments.next() {
        let argument = argument.ok()?;
        let is_given = replacement.contains("--known-seeds") && argument == "--known-seeds";
        if argument == "--seed" || is_given {
            arguments.next();
        } else if !argument.starts_with("--seed=") {
            let _ = write!(text, " {}", quoted(&argument));
        }
    }
    Some(text)
}

/// Quotes a word for a POSIX shell.
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

    const ORIGIN: Origin = Origin {
        fixture: None,
        lasting_threads: &[],
        package: "mine",
        package_dir: "",
        target: "chaos",
        binary: None,
        target_tmpdir: None,
    };

    #[test]
    fn command_repeats_the_selection_with_the_drawn_seed() {
        let build = |replacement: &str, arguments: &[&str], variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            let arguments = arguments.iter().map(OsString::from);
            command(&ORIGIN, replacement, arguments, variables).unwrap()
        };
        assert_eq!(
            build(
                "--seed 7",
                &["-m", "not slow", "--seed", "last", "a'b"],
                &[]
            ),
            r"cargo test -p mine --test chaos -- --seed 7 -m 'not slow' 'a'\''b'"
        );
        let variables = [
            ("CHAOS_TAG", "a b"),
            (SEED, "1"),
            ("HOME", "/"),
            ("CHAOS_SECRET", "1"),
        ];
        assert_eq!(
            build("--seed 7", &["--seed=3"], &variables),
            "CHAOS_TAG='a b' cargo test -p mine --test chaos -- --seed 7"
        );
        assert_eq!(
            build("--last-failed", &[], &variables),
            "CHAOS_SEED= CHAOS_TAG='a b' cargo test -p mine --test chaos -- --last-failed"
        );
    }

    #[cfg(unix)]
    #[test]
    fn command_with_invalid_utf8_is_none() {
        use std::os::unix::ffi::OsStringExt as _;
        let argument = OsString::from_vec(vec![b'-', 0xff]);
        assert_eq!(
            command(&ORIGIN, "--seed 1", [argument].into_iter(), [].into_iter()),
            None
        );
    }
}
