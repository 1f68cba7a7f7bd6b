//! The walls on Linux.

pub(crate) use super::rules::TestRules;
use super::rules::Version;
use super::{calls, capabilities, mounts, readable, rules};
use crate::data::case::SlotDir;
use crate::data::confinement::{Confinement, Namespaces};
use crate::os::fork::fork;
use crate::os::instrumentation;
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
use std::path::{Path, PathBuf};
use std::process;

pub(crate) const CONTAINMENT: Result<&str, &str> = Ok("subreaper");

/// Where a process finds itself after [`enclose`].
pub(crate) enum Enclosed {
    /// Inside, as the supervisor.
    Inside(Box<Inside>),
    /// Outside. The supervisor was a child of this process, and has ended with this code (of a signal: 128 and its number).
    Outside(i32),
}

/// How it is inside.
pub(crate) struct Inside {
    pub(crate) sandbox: Sandbox,
    /// Folders that are seen from inside alone.
    pub(crate) private: Vec<PathBuf>,
    /// Whether there is an outside, with a process waiting there.
    pub(crate) walled: bool,
}

/// Puts up the walls, in a child of this process, for tests that may write below `slot`.
///
/// # Errors
///
/// When something of it is refused: inside with what it was, and outside when there is no inside.
pub(crate) fn enclose(confinement: &Confinement, slot: &Path) -> io::Result<Enclosed> {
    let Confinement::Closed {
        namespaces,
        refusals,
    } = confinement
    else {
        set_child_subreaper(Some(getpid()))?;
        return Ok(Enclosed::Inside(Box::new(Inside {
            sandbox: super::open(),
            private: Vec::new(),
            walled: false,
        })));
    };
    enter_outer(*namespaces)?;
    match fork()? {
        Some(child) => Ok(Enclosed::Outside(wait_for(child)?)),
        None => {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            let writable: Vec<PathBuf> = [slot.to_owned()]
                .into_iter()
                .chain(profile_folder())
                .collect();
            let sandbox = enter_inner(*namespaces, refusals, &writable)?;
            let private = match namespaces {
                Namespaces::None => None,
                _ => mounts::shared_memory(&writable),
            };
            Ok(Enclosed::Inside(Box::new(Inside {
                sandbox,
                private: private.into_iter().collect(),
                walled: true,
            })))
        }
    }
}

/// The namespaces that the parent of the enclosed process enters: its own user namespace, in which it is still the same user, and
/// that of processes, which holds for its children only.
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
        fs::write("/proc/self/setgroups", "deny").map_err(told("give up setgroups"))?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))
            .map_err(told("map the user"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
            .map_err(told("map the group"))?;
    }
    Ok(())
}

/// All the rest, which the enclosed process does itself.
fn enter_inner(
    namespaces: Namespaces,
    refusals: &[String],
    writable: &[PathBuf],
) -> io::Result<Sandbox> {
    let own_users = matches!(namespaces, Namespaces::All | Namespaces::WithoutProcesses);
    let own_processes = matches!(namespaces, Namespaces::All | Namespaces::WithoutUsers);
    if own_users {
        // The number is this user namespace's own. In another namespace below it, a test would have capabilities again.
        fs::write("/proc/sys/user/max_user_namespaces", "0")
            .map_err(told("refuse more user namespaces"))?;
    }
    if namespaces != Namespaces::None {
        // Those of the network namespace that we are about to leave.
        let sockets = mounts::sockets();
        let needed: Vec<PathBuf> = readable::needed().collect();
        let flags = UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
        namespaces::unshare(flags).map_err(no_namespaces(flags))?;
        mounts::seal(writable, &needed, &sockets, own_processes)?;
        namespaces::bring_up_loopback().map_err(told("bring up loopback"))?;
    }
    let landlock = rules::enter_slot(writable, namespaces != Namespaces::None);
    capabilities::drop_all().map_err(told("drop capabilities"))?;
    let refused = calls::refuse();
    if !own_processes {
        set_child_subreaper(Some(getpid()))?;
    }
    let mut sandbox = sandbox(namespaces, refusals, landlock);
    if let Err(error) = refused {
        let reason = format!("limits and keys of others are open to it: seccomp: {error}");
        sandbox.processes = Enforcement::missing(reason);
    }
    if !own_users && can_make_user_namespace()? {
        let reason = "dropped, but a test can make a user namespace, in which it has all of them";
        sandbox.capabilities = Enforcement::missing(reason);
    }
    Ok(sandbox)
}

/// Whether a process in here can make a user namespace of its own: one tries.
fn can_make_user_namespace() -> io::Result<bool> {
    match fork()? {
        Some(child) => Ok(wait_for(child)? == 0),
        None => process::exit(namespaces::unshare(UnshareFlags::NEWUSER).is_err().into()),
    }
}

/// What stands, in words.
fn sandbox(
    namespaces: Namespaces,
    refusals: &[String],
    landlock: Result<Version, String>,
) -> Sandbox {
    let refused = refusals.join("; and ");
    let coverage =
        profile_folder().map(|folder| format!(", but for coverage in {}", folder.display()));
    let coverage: String = coverage.collect();
    let read_only = namespaces != Namespaces::None;
    let own_processes = matches!(namespaces, Namespaces::All | Namespaces::WithoutUsers);
    let of_namespace = |there: bool, by: &str| {
        if there {
            Enforcement::enforced(by)
        } else {
            Enforcement::missing(refused.clone())
        }
    };
    let files = match &landlock {
        Ok(version) if version.protects_files() => {
            let home = readable::why_home().map_or_else(String::new, |why| format!(", but {why}"));
            Enforcement::enforced(format!("Landlock {}{coverage}{home}", version.number()))
        }
        _ if read_only => Enforcement::enforced(format!("read-only mounts{coverage}")),
        Ok(version) => Enforcement::missing(format!(
            "Landlock {} of this kernel does not refuse to truncate files; {refused}",
            version.number()
        )),
        Err(reason) => Enforcement::missing(format!("{reason}; {refused}")),
    };
    let processes = match landlock {
        Ok(version) if !own_processes && version.keeps_signals() => Enforcement::missing(format!(
            "Landlock {} refuses to signal and trace others, but not to see them: {refused}",
            version.number()
        )),
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

/// The narrower walls of a test, to be entered by its own process.
///
/// # Errors
///
/// When a folder is not there, or the kernel refuses.
pub(crate) fn prepare_test(slot: &SlotDir) -> io::Result<TestRules> {
    let also: Vec<PathBuf> = profile_folder().collect();
    TestRules::prepare(&slot.work(), &also)
}

/// What tests may write to though it is not theirs: the folder where instrumented code leaves its coverage. None for code that is not.
pub(crate) fn profile_folder() -> impl Iterator<Item = PathBuf> {
    let profile = env::var_os("LLVM_PROFILE_FILE")
        .filter(|_| instrumentation::counts_coverage())
        .map(PathBuf::from);
    let folder = profile.and_then(|file| {
        let folder = file.parent()?;
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        fs::canonicalize(folder).ok()
    });
    // Nobody means all that there is.
    folder
        .filter(|folder| folder.parent().is_some())
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

/// Says which namespaces were refused, and what the system means by that.
fn no_namespaces(flags: UnshareFlags) -> impl Fn(io::Error) -> io::Error {
    let kinds = [
        (UnshareFlags::NEWUSER, "user"),
        (UnshareFlags::NEWPID, "PID"),
        (UnshareFlags::NEWNS, "mount"),
        (UnshareFlags::NEWNET, "network"),
        (UnshareFlags::NEWIPC, "IPC"),
    ];
    let wanted: Vec<&str> = kinds
        .into_iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, name)| name)
        .collect();
    move |error| {
        let meaning = match Errno::from_io_error(&error) {
            Some(Errno::NOSPC) => {
                "the limit below /proc/sys/user is reached, or they are switched off there"
            }
            Some(Errno::PERM) => "this user, or this container, may not make them",
            Some(Errno::INVAL) => {
                "a thread was started before `main`, or the kernel does not have them"
            }
            _ => "",
        };
        let told = format!("no {} namespaces: {error}; {meaning}", wanted.join(", "));
        io::Error::new(error.kind(), told)
    }
}

fn told(what: &'static str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("failed to {what}: {error}"))
}
