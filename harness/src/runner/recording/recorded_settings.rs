//! The settings of a recorded run that a replay uses again.

use super::fingerprint::difference;
use crate::runner::cli::sandbox_scope::SandboxScope;
use crate::runner::cli::{HomeChoice, Options};
use clap::ValueEnum;
use clarity_chaos_record::Isolation;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of a run that can change how its tests end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordedSettings {
    isolation: Isolation,
    /// The value of `--sandbox`.
    sandbox: String,
    /// The value of `--home`.
    home: String,
    timeout_ms: u64,
    grace_ms: u64,
    log: String,
    check_determinism: bool,
}

impl RecordedSettings {
    /// Returns the settings of a run with these options, in which `isolation` took effect.
    pub(super) fn new(options: &Options, isolation: Isolation) -> Self {
        Self {
            isolation,
            sandbox: name_of(options.sandbox),
            home: name_of(options.home),
            timeout_ms: milliseconds(options.timeout),
            grace_ms: milliseconds(options.grace),
            log: options.log.clone(),
            check_determinism: options.check_determinism,
        }
    }

    /// Sets the options that the user has not given, unless a recorded setting protects the user's
    /// files less. Returns a line for each setting that differs all the same.
    pub(super) fn apply(&self, options: &mut Options) -> Vec<String> {
        let is_open = |id: &str| !options.given.contains(id);
        let isolation = is_open("isolation") && is_contained(self.isolation);
        let [sandbox, home, timeout, grace] = ["sandbox", "home", "timeout", "grace"].map(is_open);
        let [log, check_determinism] = ["log", "check_determinism"].map(is_open);
        if isolation {
            options.isolation = Some(self.isolation);
        }
        let strictness = |scope| match scope {
            SandboxScope::None => 0,
            SandboxScope::Marked => 1,
            SandboxScope::All => 2,
        };
        if sandbox
            && let Ok(value) = SandboxScope::from_str(&self.sandbox, false)
            && strictness(value) >= strictness(options.sandbox)
        {
            options.sandbox = value;
        }
        if home && self.home == name_of(HomeChoice::Own) {
            options.home = HomeChoice::Own;
        }
        // A timeout of zero is no valid option.
        if timeout && self.timeout_ms > 0 {
            options.timeout = Duration::from_millis(self.timeout_ms);
        }
        if grace {
            options.grace = Duration::from_millis(self.grace_ms);
        }
        if log
            && self
                .log
                .parse::<tracing_subscriber::filter::Targets>()
                .is_ok()
        {
            options.log.clone_from(&self.log);
        }
        // The thread isolation cannot run a test in a new process.
        if check_determinism && options.isolation != Some(Isolation::Thread) {
            options.check_determinism = self.check_determinism;
        }
        let isolation = options.isolation.unwrap_or(Isolation::DEFAULT);
        let here = Self::new(options, isolation).rows();
        let rows = self.rows().into_iter().zip(here);
        rows.filter(|((_, recorded), (_, here))| recorded != here)
            .map(|((name, recorded), (_, here))| difference(name, &recorded, &here))
            .collect()
    }

    fn rows(&self) -> [(&'static str, String); 7] {
        [
            ("--isolation", self.isolation.to_string()),
            ("--sandbox", self.sandbox.clone()),
            ("--home", self.home.clone()),
            ("--timeout", format!("{} ms", self.timeout_ms)),
            ("--grace", format!("{} ms", self.grace_ms)),
            ("--log", self.log.clone()),
            ("--check-determinism", self.check_determinism.to_string()),
        ]
    }
}

/// Whether the isolation contains tests, and this system has it.
fn is_contained(isolation: Isolation) -> bool {
    let has_isolation = cfg!(target_os = "linux") || isolation != Isolation::Fork;
    has_isolation && matches!(isolation, Isolation::Fork | Isolation::Exec)
}

fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn recorded() -> RecordedSettings {
        RecordedSettings {
            isolation: Isolation::Exec,
            sandbox: "all".to_owned(),
            home: "own".to_owned(),
            timeout_ms: 1_500,
            grace_ms: 20,
            log: "debug".to_owned(),
            check_determinism: true,
        }
    }

    #[test]
    fn apply_sets_options_that_are_not_given() {
        let mut options = Options::parse_for_tests(&[]);
        assert_eq!(recorded().apply(&mut options), Vec::<String>::new());
        assert_eq!(options.isolation, Some(Isolation::Exec));
        assert_eq!(options.sandbox, SandboxScope::All);
        assert_eq!(options.timeout, Duration::from_millis(1_500));
        assert!(options.check_determinism);
        assert_eq!(RecordedSettings::new(&options, Isolation::Exec), recorded());
    }

    #[test]
    fn apply_never_gives_tests_more_access() {
        let weak = RecordedSettings {
            isolation: Isolation::Thread,
            sandbox: "none".to_owned(),
            home: "runner".to_owned(),
            ..recorded()
        };
        let mut options = Options::parse_for_tests(&[]);
        let differences = weak.apply(&mut options);
        assert_eq!(options.isolation, None);
        assert_eq!(options.sandbox, SandboxScope::DEFAULT);
        assert_eq!(options.home, HomeChoice::Own);
        assert_eq!(
            differences,
            [
                format!("--isolation: recorded thread, here {}", Isolation::DEFAULT),
                "--sandbox: recorded none, here marked".to_owned(),
                "--home: recorded runner, here own".to_owned(),
            ]
        );
    }

    #[test]
    fn apply_keeps_given_options_and_names_them() {
        let given = ["--sandbox", "none", "--timeout", "7s"];
        let mut options = Options::parse_for_tests(&given);
        assert_eq!(
            recorded().apply(&mut options),
            [
                "--sandbox: recorded all, here none",
                "--timeout: recorded 1500 ms, here 7000 ms"
            ]
        );
        assert_eq!(options.sandbox, SandboxScope::None);
    }
}
