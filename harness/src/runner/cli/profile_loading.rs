//! Loads the profile of a run, and makes its settings the defaults of the options.

use super::active_profile::ActiveProfile;
use super::command::command;
use super::options::Options;
use super::profile_options::ProfileOptions;
use super::test_settings::TestOverride;
use crate::registration::origin::Origin;
use crate::runner::profiles::{
    DEFAULT, PlacedError, ProfileFile, Setting, SettingType, WorkspaceRoot, fill,
};
use crate::runner::standard_streams::print_error;
use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command, FromArgMatches as _};
use std::collections::BTreeSet;
use std::env;
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The place of the file of profiles in a workspace.
const FILE: &str = ".config/chaos.toml";

/// Reads the profile that the options choose. Returns `None` if there is no file of profiles.
///
/// # Errors
///
/// When the file cannot be read, is not valid, or has no such profile. Also when there is no
/// file, and the options choose another profile than the default one.
pub(super) fn load(
    options: &ProfileOptions,
    origin: &Origin,
) -> Result<Option<ActiveProfile>, String> {
    let name = options.profile.as_deref().unwrap_or(DEFAULT);
    let path = match &options.config {
        Some(path) => path.clone(),
        None => default_file(origin),
    };
    let shown = path.display();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if options.config.is_none() && is_absent(&path, &error) => {
            if name != DEFAULT {
                return Err(format!(
                    "--profile {name}: there is no file of profiles: {shown}: {error}; \
                     --config FILE names another"
                ));
            }
            return Ok(None);
        }
        Err(error) => return Err(format!("cannot read the file of profiles {shown}: {error}")),
    };
    // An absolute path stays right if the command that repeats a run runs elsewhere.
    let path = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    let place = |error: PlacedError| format!("{shown}:{error}");
    let file = ProfileFile::parse(&text).map_err(place)?;
    for profile in file.profiles() {
        let overrides = profile.overrides.iter();
        let settings = overrides.flat_map(|overrides| &overrides.settings);
        for setting in profile.settings.iter().chain(settings) {
            check_value(setting).map_err(place)?;
        }
    }
    let chain = file
        .chain(name)
        .map_err(|error| format!("--profile {name}: {shown}: {error}"))?;
    let mut keys = BTreeSet::new();
    let mut settings = Vec::new();
    let mut overrides = Vec::new();
    for (_, profile) in &chain {
        let new = profile.settings.iter();
        let new = new.filter(|setting| keys.insert(setting.key.name));
        settings.extend(new.map(|setting| located(setting, &path, origin)));
        for each in &profile.overrides {
            let options = defaults_only(&each.settings)
                .map_err(|error| format!("{shown}: {}", explain(&error)))?;
            let keys = each.settings.iter().map(|setting| setting.key.name);
            let (filter, text) = (each.filter.clone(), each.filter_text.clone());
            overrides.push(TestOverride::new(
                filter,
                text,
                keys.collect(),
                options.settings(),
            ));
        }
    }
    let names: Vec<&str> = chain.iter().map(|(name, _)| *name).collect();
    Ok(Some(ActiveProfile::new(&names, &path, settings, overrides)))
}

/// Makes the settings the defaults of the options.
pub(super) fn apply(profile: &ActiveProfile, command: Command) -> Command {
    profile.settings.iter().fold(command, with_default)
}

/// Returns the default file of profiles.
fn default_file(origin: &Origin) -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| PathBuf::from(origin.package_dir));
    let root = WorkspaceRoot::of(&package);
    let file = root.path.join(FILE);
    if let Some(error) = root.unreadable {
        print_error(format_args!(
            "warning: the root of the workspace, in which {FILE} is, may be another: {error}; \
             --config FILE names the file"
        ));
    }
    file
}

/// Whether there is no file, or the file cannot be seen.
fn is_absent(path: &Path, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => true,
        // Without the permission to search its directory, nobody knows whether there is a file.
        // `WorkspaceRoot` has then warned.
        io::ErrorKind::PermissionDenied => fs::symlink_metadata(path).is_err(),
        _ => false,
    }
}

/// Completes the path of a setting: fills its placeholders, and makes it absolute. Relative paths
/// start at the directory that contains `.config`, or else at the directory of the file.
fn located(setting: &Setting, file: &Path, origin: &Origin) -> Setting {
    let mut setting = setting.clone();
    if setting.key.value_type == SettingType::Path {
        let directory = file.parent().unwrap_or(file);
        let base = match directory.parent() {
            Some(parent) if directory.ends_with(".config") => parent,
            _ => directory,
        };
        let path = base.join(fill(&setting.value, origin.package, origin.target));
        setting.value = path.to_string_lossy().into_owned();
    }
    setting
}

/// Makes a setting the default of its option.
fn with_default(command: Command, setting: &Setting) -> Command {
    let has_name = |argument: &&Arg| argument.get_long() == Some(setting.key.name);
    let argument = command.get_arguments().find(has_name);
    let Some(id) = argument.map(|argument| argument.get_id().clone()) else {
        return command;
    };
    let value = setting.value.clone();
    command.mut_arg(id, |argument| argument.default_value(value))
}

/// Parses the settings alone, without arguments and environment variables.
fn defaults_only(settings: &[Setting]) -> Result<Options, clap::Error> {
    let command = settings.iter().fold(command(), with_default);
    let command = command.mut_args(|argument| argument.env(None::<&'static str>));
    let matches = command.try_get_matches_from(["chaos"])?;
    Options::from_arg_matches(&matches)
}

fn check_value(setting: &Setting) -> Result<(), PlacedError> {
    let checked = defaults_only(std::slice::from_ref(setting));
    checked.map(drop).map_err(|error| {
        let mut text = format!("{}: {}", setting.key.name, explain(&error));
        if !text.contains(&setting.value) {
            text = format!("{text}, found `{}`", setting.value);
        }
        PlacedError::new(setting.position, text)
    })
}

/// Returns the expectation of clap's error, without its advice about command lines.
fn explain(error: &clap::Error) -> String {
    let value = || {
        let value = error.get(ContextKind::InvalidValue);
        value.map(|value| format!(", found `{value}`"))
    };
    match (error.kind(), error.get(ContextKind::ValidValue)) {
        (ErrorKind::InvalidValue, Some(valid)) => {
            format!("expected one of {valid}{}", value().unwrap_or_default())
        }
        _ => match error.source() {
            Some(source) => source.to_string(),
            None => error.to_string().trim_end().to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::cli::parsing::own_options;
    use crate::runner::profiles::{KEYS, NOT_IN_PROFILES};

    /// A new option must be a setting of profiles, or be left out on purpose.
    #[test]
    fn each_own_option_is_a_setting_or_left_out() {
        let options = command();
        let names: BTreeSet<&str> = options
            .get_arguments()
            .filter_map(|one| one.get_long())
            .collect();
        for key in &KEYS {
            assert!(names.contains(key.name), "{} is no option", key.name);
            assert!(!NOT_IN_PROFILES.contains(&key.name), "{}", key.name);
        }
        let own: Vec<String> = own_options().collect();
        let is_own = |one: &&Arg| own.iter().any(|own| own == one.get_id().as_str());
        let own = options.get_arguments().filter(is_own);
        for name in own.filter_map(|one| one.get_long()) {
            let is_setting = KEYS.iter().any(|key| key.name == name);
            assert!(is_setting || NOT_IN_PROFILES.contains(&name), "{name}");
        }
    }

    #[test]
    fn value_is_checked_as_on_the_command_line() {
        let setting = |name: &str, value: &str| {
            let text = format!("[profile.default]\n{name} = {value}");
            let file = ProfileFile::parse(&text).unwrap();
            file.chain(DEFAULT).unwrap()[0].1.settings[0].clone()
        };
        for (name, value) in [
            ("timeout", "\"1m 30s\""),
            ("minimize", "\"5s\""),
            ("fail-fast", "true"),
            ("require-sandbox", "false"),
            ("isolation", "\"exec\""),
            ("test-threads", "3"),
        ] {
            assert_eq!(check_value(&setting(name, value)), Ok(()), "{name}");
        }
        for (name, value, words) in [
            (
                "keep-dirs",
                "\"some\"",
                "2:13: keep-dirs: expected one of never, failed, always",
            ),
            ("log", "\"a=loud\"", "2:7: log: expected levels by target"),
            ("isolation", "\"vm\"", "found `vm`"),
        ] {
            let error = check_value(&setting(name, value)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
