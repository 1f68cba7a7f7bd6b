//! The rules of [Landlock](https://docs.kernel.org/userspace-api/landlock.html): which files may be read and written.
//!
//! Two layers, of which both must agree: the supervisor's, and that of its tests, which may write to less. A test enters its own, but its supervisor
//! has prepared it.

use super::mounts::{SHARED_MEMORY, TERMINALS};
use super::readable;
use landlock::{
    ABI, Access as _, AccessFs, LandlockStatus, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};
use std::io;
use std::path::{Path, PathBuf};

/// The newest version whose rights are asked for; of an older kernel, those that it knows.
const NEWEST: ABI = ABI::V9;

/// The first version that refuses to truncate, without which files outside are not safe.
const TRUNCATION: i32 = 3;

/// The first version that keeps signals inside.
const SIGNALS: i32 = 6;

/// Devices that swallow, make noise, or make terminals.
const DEVICES: [&str; 7] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
];

/// The version of Landlock that is in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version(i32);

impl Version {
    pub(super) fn protects_files(self) -> bool {
        self.0 >= TRUNCATION
    }

    pub(super) fn keeps_signals(self) -> bool {
        self.0 >= SIGNALS
    }

    pub(super) fn number(self) -> i32 {
        self.0
    }
}

/// Restricts this process and all that it starts: reads what a test needs, writes in the folders `writable`, and to shared memory and terminals if those
/// are the slot's own; gives the version in force.
///
/// # Errors
///
/// With the reason why Landlock is not there.
pub(super) fn enter_slot(writable: &[PathBuf], own_devices: bool) -> Result<Version, String> {
    let enter = || -> Result<RestrictionStatus, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(
                readable::roots(),
                AccessFs::from_read(NEWEST),
            ))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(NEWEST)))?
            .add_rules(path_beneath_rules(
                devices(own_devices),
                AccessFs::from_all(NEWEST),
            ))?
            .restrict_self()
    };
    let status = enter().map_err(|error| format!("Landlock: {error}"))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => {
            Err("Landlock is switched off in this kernel".to_owned())
        }
        (RulesetStatus::NotEnforced, _) => Err("this kernel has no Landlock".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(Version(effective_abi as i32)),
        (_, other) => Err(format!("Landlock: {other:?}")),
    }
}

/// The second layer, prepared.
#[derive(Debug)]
pub(crate) struct TestRules(RulesetCreated);

impl TestRules {
    /// Prepares to narrow what a process may write to `work` and `also`, and whom it may signal to itself and what it starts.
    pub(super) fn prepare(work: &Path, also: &[PathBuf]) -> io::Result<Self> {
        let write = AccessFs::from_write(NEWEST);
        let folder = |path: &Path| PathFd::new(path).map_err(|error| told(&error));
        // All devices here: the layer above knows which.
        let (work, devices) = (folder(work)?, folder(Path::new("/dev"))?);
        let prepare = || -> Result<RulesetCreated, RulesetError> {
            Ruleset::default()
                .handle_access(write)?
                .scope(Scope::from_all(NEWEST))?
                .create()?
                .add_rule(PathBeneath::new(work, write))?
                .add_rule(PathBeneath::new(devices, write))?
                .add_rules(path_beneath_rules(also, write))
        };
        prepare().map(Self).map_err(|error| told(&error))
    }

    /// Narrows. The process must not have other threads yet.
    ///
    /// # Errors
    ///
    /// When the kernel refuses; then the test must not run.
    pub(crate) fn enter(self) -> io::Result<()> {
        self.0.restrict_self().map_err(|error| told(&error))?;
        Ok(())
    }
}

fn told(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("Landlock: {error}"))
}

/// The devices; with shared memory and terminals, where those are the slot's own.
fn devices(own: bool) -> impl Iterator<Item = &'static Path> {
    let folders = [SHARED_MEMORY, TERMINALS];
    let folders = folders.into_iter().filter(move |_| own);
    DEVICES.into_iter().chain(folders).map(Path::new)
}
