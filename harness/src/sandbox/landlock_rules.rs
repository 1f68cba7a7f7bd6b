//! The rules of [Landlock](https://docs.kernel.org/userspace-api/landlock.html): the files that
//! tests may read and write.
//!
//! There are two layers, and both must allow an access. The supervisor enters the first layer. It
//! also prepares the second, narrower layer, which each test enters.

use super::exposed_paths::ExposedPaths;
use super::mounts::{SHARED_MEMORY, TERMINALS};
use super::readable_paths;
use landlock::{
    ABI, Access as _, AccessFs, LandlockStatus, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};
use std::io;
use std::path::{Path, PathBuf};

/// The newest Landlock version whose permissions these rules handle. An older kernel handles only
/// the permissions that it knows.
const NEWEST: ABI = ABI::V9;

/// The first Landlock version that can forbid the truncation of files. Older versions therefore do
/// not protect files outside of the test's directory.
const TRUNCATION: i32 = 3;

/// The first Landlock version that can restrict signals.
const SIGNALS: i32 = 6;

/// Devices that discard writes, devices that generate bytes, and terminal devices.
const DEVICES: [&str; 7] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
];

/// The version of Landlock in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct LandlockVersion(i32);

impl LandlockVersion {
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

/// Restricts this process and all processes that it starts. Gives the Landlock version in force.
///
/// The processes can read the paths that tests need. They can write to the directories `writable`
/// and to some devices. With `own_devices`, they can also write to shared memory and terminals,
/// which must belong to this worker. They can also read the directory in `exposed`, and connect to
/// its sockets.
///
/// # Errors
///
/// When Landlock is not in force. The error is the reason.
pub(super) fn enter_slot(
    writable: &[PathBuf],
    own_devices: bool,
    exposed: &ExposedPaths,
) -> Result<LandlockVersion, String> {
    let enter = || -> Result<RestrictionStatus, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .create()?
            .add_rules(path_beneath_rules(
                readable_paths::roots(),
                AccessFs::from_read(NEWEST),
            ))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(NEWEST)))?
            .add_rules(path_beneath_rules(
                &exposed.dir,
                AccessFs::from_read(NEWEST),
            ))?
            .add_rules(path_beneath_rules(&exposed.sockets, AccessFs::ResolveUnix))?
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
        (_, LandlockStatus::Available { effective_abi, .. }) => {
            Ok(LandlockVersion(effective_abi as i32))
        }
        (_, other) => Err(format!("Landlock: {other:?}")),
    }
}

/// The rules of the second layer, prepared for a test.
#[derive(Debug)]
pub(crate) struct TestRules(RulesetCreated);

impl TestRules {
    /// Prepares rules for a test's process. The process can write only to `work`, `also` and
    /// devices. If the kernel can restrict connections by path, the process can connect only to
    /// `sockets` and to sockets in these directories. If the kernel can restrict signals, the
    /// process can send signals only to itself and its descendants.
    pub(super) fn prepare(work: &Path, also: &[PathBuf], sockets: &[PathBuf]) -> io::Result<Self> {
        let write = AccessFs::from_write(NEWEST);
        let open = |path: &Path| PathFd::new(path).map_err(|error| with_context(&error));
        // These rules allow all devices, because the first layer already restricts devices.
        let (work, devices) = (open(work)?, open(Path::new("/dev"))?);
        let prepare = || -> Result<RulesetCreated, RulesetError> {
            Ruleset::default()
                .handle_access(write)?
                .scope(Scope::from_all(NEWEST))?
                .create()?
                .add_rule(PathBeneath::new(work, write))?
                .add_rule(PathBeneath::new(devices, write))?
                .add_rules(path_beneath_rules(also, write))?
                .add_rules(path_beneath_rules(sockets, AccessFs::ResolveUnix))
        };
        prepare().map(Self).map_err(|error| with_context(&error))
    }

    /// Restricts this process, which must not have other threads yet.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the rules. Then the test must not run.
    pub(crate) fn enter(self) -> io::Result<()> {
        self.0
            .restrict_self()
            .map_err(|error| with_context(&error))?;
        Ok(())
    }
}

fn with_context(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("Landlock: {error}"))
}

/// Gives the devices that tests may write to. Includes shared memory and terminals if `own` is set.
fn devices(own: bool) -> impl Iterator<Item = &'static Path> {
    let directories = [SHARED_MEMORY, TERMINALS];
    let directories = directories.into_iter().filter(move |_| own);
    DEVICES.into_iter().chain(directories).map(Path::new)
}
