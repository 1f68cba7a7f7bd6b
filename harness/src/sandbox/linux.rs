//! Confinement on Linux.

use super::exposed_paths::{ExposedPaths, unix_sockets};
pub(crate) use super::landlock_rules::TestRules;
use super::landlock_rules::{self, LandlockVersion};
use super::{capabilities, denied_calls, forwarding, mounts, name_socket, readable_paths};
use crate::data::case::Case;
use crate::data::confinement::{Confinement, Namespaces};
use crate::data::service::{RunServices, VisibleServices};
use crate::os::compiler_instrumentation;
use crate::os::directory_lock::lock_shared;
use crate::os::fork::fork;
use crate::os::namespaces;
use clarity_chaos_record::{Enforcement, Sandbox};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getgid, getpid, getuid, set_child_subreaper,
    set_parent_process_death_signal, waitpid,
};
use rustix::thread::UnshareFlags;
use std::env;
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process;

pub(crate) const CONTAINMENT: Result<&str, &str> = Ok("subreaper");

/// The role of this process after [`confine`].
pub(crate) enum Confined {
    /// This process is the supervisor, inside the confinement.
    Inside(Box<Inside>),
    /// This process is the supervisor's parent, outside the confinement. Contains the exit code of
    /// the ended supervisor. If a signal ended the supervisor, contains 128 plus the signal's
    /// number.
    Outside(i32),
}

/// The supervisor's confinement.
pub(crate) struct Inside {
    pub(crate) sandbox: Sandbox,
    /// The services of the run, as the supervisor's tests see them.
    pub(crate) services: VisibleServices,
    /// Directories that exist only inside the confinement.
    pub(crate) private: Vec<PathBuf>,
    /// Whether a parent process waits outside the confinement.
    pub(crate) has_outer_process: bool,
}

/// Forks a confined child, which becomes the supervisor. The supervisor's tests may write below
/// `slot`, and reach the services of `run`. If `confinement` is not `Closed`, does not fork: this
/// process becomes the supervisor.
///
/// # Errors
///
/// In the child, when the kernel refuses a part of the confinement. The error names this part. In
/// the parent, when the kernel refuses the outer namespaces or the fork.
pub(crate) fn confine(
    confinement: &Confinement,
    slot: &Path,
    run: &RunServices,
) -> io::Result<Confined> {
    let Confinement::Closed {
        namespaces,
        refusals,
    } = confinement
    else {
        set_child_subreaper(Some(getpid()))?;
        return Ok(Confined::Inside(Box::new(Inside {
            sandbox: super::unconfined(),
            services: run.to_visible(),
            private: Vec::new(),
            has_outer_process: false,
        })));
    };
    let forwarder = match namespaces {
        Namespaces::None => None,
        _ => forwarding::start(run)?,
    };
    enter_outer(*namespaces)?;
    match fork()? {
        Some(child) => {
            // Tells later runs that the worker is still running. The child must not inherit the
            // lock's descriptor: it leads out of the mount namespace. The lock can be missing, as
            // the kernel releases it at any time with this process.
            let _lock = lock_shared(slot);
            let code = wait_for(child)?;
            if let Some(forwarder) = forwarder {
                forwarder.end()?;
            }
            Ok(Confined::Outside(code))
        }
        None => {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let writable: Vec<PathBuf> = [slot.to_owned()]
                .into_iter()
                .chain(profile_directory())
                .collect();
            let (sandbox, services) = enter_inner(
                *namespaces,
                refusals,
                slot,
                &writable,
                run,
                forwarder.as_ref().map(|forwarder| &forwarder.socket),
            )?;
            drop(forwarder);
            let private = match namespaces {
                Namespaces::None => None,
                _ => mounts::shared_memory(&writable),
            };
            Ok(Confined::Inside(Box::new(Inside {
                sandbox,
                services,
                private: private.into_iter().collect(),
                has_outer_process: true,
            })))
        }
    }
}

/// Enters the namespaces that the supervisor's parent needs.
///
/// `namespaces` selects a user namespace, a PID namespace, both or none. In the user namespace, the
/// process keeps its user and group IDs. The PID namespace applies only to the process's children.
fn enter_outer(namespaces: Namespaces) -> io::Result<()> {
    let flags = match namespaces {
        Namespaces::All => UnshareFlags::NEWUSER | UnshareFlags::NEWPID,
        Namespaces::WithoutUsers => UnshareFlags::NEWPID,
        Namespaces::WithoutProcesses => UnshareFlags::NEWUSER,
        Namespaces::None => return Ok(()),
    };
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    namespaces::unshare(flags).map_err(no_namespaces(flags))?;
    if flags.contains(UnshareFlags::NEWUSER) {
        fs::write("/proc/self/setgroups", "deny").map_err(failed_to("give up setgroups"))?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))
            .map_err(failed_to("map the user"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
            .map_err(failed_to("map the group"))?;
    }
    Ok(())
}

/// Applies all parts of the confinement except the outer namespaces, in the supervisor itself.
fn enter_inner(
    namespaces: Namespaces,
    refusals: &[String],
    slot: &Path,
    writable: &[PathBuf],
    run: &RunServices,
    forwarder: Option<&UnixStream>,
) -> io::Result<(Sandbox, VisibleServices)> {
    let mut services = run.to_visible();
    let exposed = ExposedPaths::of(run);
    let own_users = matches!(namespaces, Namespaces::All | Namespaces::WithoutProcesses);
    let own_processes = matches!(namespaces, Namespaces::All | Namespaces::WithoutUsers);
    if own_users {
        // This limit applies to the current user namespace. Without the limit, a test could create
        // another user namespace, and would have capabilities there.
        fs::write("/proc/sys/user/max_user_namespaces", "0")
            .map_err(failed_to("refuse more user namespaces"))?;
    }
    if namespaces != Namespaces::None {
        // Lists the sockets of the network namespace that this process is about to leave.
        let mut sockets = mounts::sockets();
        sockets.retain(|socket| !exposed.sockets.contains(socket));
        let needed = readable_paths::needed().chain(exposed.all());
        let needed: Vec<PathBuf> = needed.collect();
        let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
        namespaces::unshare(flags).map_err(no_namespaces(flags))?;
        let resolv_conf = mounts::seal(slot, writable, &needed, &sockets, own_processes)?;
        namespaces::bring_up_loopback().map_err(failed_to("bring up loopback"))?;
        name_socket::bind(resolv_conf);
        services = forwarding::listen(run, forwarder);
    }
    let own_devices = namespaces != Namespaces::None;
    let landlock = landlock_rules::enter_slot(writable, own_devices, &exposed);
    capabilities::drop_all().map_err(failed_to("drop capabilities"))?;
    let denied = denied_calls::deny();
    if !own_processes {
        set_child_subreaper(Some(getpid()))?;
    }
    let mut sandbox = describe(namespaces, refusals, landlock);
    if let Err(error) = denied {
        let reason =
            format!("a test can change limits and keys of other processes: seccomp: {error}");
        sandbox.processes = Enforcement::missing(reason);
    }
    if !own_users && can_make_user_namespace()? {
        let reason = "dropped, but a test can make a user namespace, in which it has all of them";
        sandbox.capabilities = Enforcement::missing(reason);
    }
    Ok((sandbox, services))
}

/// Whether a confined process can make a user namespace. Forks a child that tries to make a user
/// namespace.
fn can_make_user_namespace() -> io::Result<bool> {
    match fork()? {
        Some(child) => Ok(wait_for(child)? == 0),
        None => process::exit(namespaces::unshare(UnshareFlags::NEWUSER).is_err().into()),
    }
}

/// Describes the confinement in force.
fn describe(
    namespaces: Namespaces,
    refusals: &[String],
    landlock: Result<LandlockVersion, String>,
) -> Sandbox {
    let refused = refusals.join("; ");
    let coverage = profile_directory()
        .map(|directory| format!(", but for coverage in {}", directory.display()));
    let coverage: String = coverage.collect();
    let read_only = namespaces != Namespaces::None;
    let own_processes = matches!(namespaces, Namespaces::All | Namespaces::WithoutUsers);
    let of_namespace = |is_own: bool, by: &str| {
        if is_own {
            Enforcement::enforced(by)
        } else {
            Enforcement::missing(refused.clone())
        }
    };
    let files = match &landlock {
        Ok(version) if version.protects_files() => {
            let home = readable_paths::home_exposure()
                .map_or_else(String::new, |reason| format!(", but {reason}"));
            Enforcement::enforced(format!("Landlock {}{coverage}{home}", version.number()))
        }
        _ if read_only => Enforcement::enforced(format!("read-only mounts{coverage}")),
        Ok(version) => Enforcement::missing(format!(
            "Landlock {} of this kernel does not refuse to truncate files, and there are no \
             read-only mounts",
            version.number()
        )),
        Err(reason) => Enforcement::missing(format!("{reason}, and there are no read-only mounts")),
    };
    let processes = match landlock {
        Ok(version) if !own_processes && version.keeps_signals() => {
            // The refusal of all namespaces stands at other parts already.
            let refused = match read_only {
                true => format!(": {refused}"),
                false => String::new(),
            };
            Enforcement::missing(format!(
                "Landlock {} refuses to signal and trace others, but not to see them{refused}",
                version.number()
            ))
        }
        _ => of_namespace(own_processes, "PID namespace"),
    };
    let containment = if own_processes {
        "PID namespace"
    } else {
        "subreaper"
    };
    let mut sandbox = Sandbox::without("", Ok(containment));
    sandbox.files = files;
    sandbox.metadata = of_namespace(read_only, "read-only mounts");
    sandbox.network = of_namespace(read_only, "network namespace");
    sandbox.processes = processes;
    sandbox.capabilities = Enforcement::enforced("dropped");
    sandbox
}

/// Prepares the additional rules of tests of the worker of `case`. They may write to the worker's
/// directory, and connect to the sockets of the run. Each test's process enters these rules.
///
/// # Errors
///
/// When a directory is missing, or the kernel refuses the rules.
pub(crate) fn prepare_test(case: &Case) -> io::Result<TestRules> {
    let also: Vec<PathBuf> = profile_directory().collect();
    let sockets = unix_sockets(case.spec.services.services.values().flatten());
    TestRules::prepare(&case.worker_dir().work(), &also, &sockets)
}

/// Gives the directory to which instrumented code writes its coverage data. Tests may write to this
/// directory. Gives none for code without instrumentation, for a missing directory, and for the
/// root directory.
pub(crate) fn profile_directory() -> impl Iterator<Item = PathBuf> {
    let profile = env::var_os("LLVM_PROFILE_FILE")
        .filter(|_| compiler_instrumentation::counts_coverage())
        .map(PathBuf::from);
    let directory = profile.and_then(|file| {
        let directory = file.parent()?;
        let directory = if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        };
        fs::canonicalize(directory).ok()
    });
    // Write access to the root would make the whole file system writable.
    directory
        .filter(|directory| directory.parent().is_some())
        .into_iter()
}

fn wait_for(child: Pid) -> io::Result<i32> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                let signal = status.terminating_signal().map(|signal| 128 + signal);
                return Ok(status.exit_status().or(signal).unwrap_or(1));
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Returns a closure for `map_err`. The closure adds the refused namespaces and the likely reason
/// to an error's message.
fn no_namespaces(flags: UnshareFlags) -> impl Fn(io::Error) -> io::Error {
    let kinds = [
        (UnshareFlags::NEWUSER, "user"),
        (UnshareFlags::NEWPID, "PID"),
        (UnshareFlags::NEWNS, "mount"),
        (UnshareFlags::NEWNET, "network"),
        (UnshareFlags::NEWIPC, "IPC"),
    ];
    let names: Vec<&str> = kinds
        .into_iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, name)| name)
        .collect();
    move |error| {
        let reason = match Errno::from_io_error(&error) {
            Some(Errno::NOSPC) => ", a limit in /proc/sys/user is reached",
            Some(Errno::INVAL) => {
                ", a thread was started before `main`, or the kernel does not have them"
            }
            _ => "",
        };
        let message = format!("no {} namespaces: {error}{reason}", names.join(", "));
        io::Error::new(error.kind(), message)
    }
}

/// Returns a closure for `map_err`. The closure adds the failed `action` to an error's message.
fn failed_to(action: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("failed to {action}: {error}"))
}
