//! The sandbox refuses every attempt to escape. Without the sandbox, the attempts succeed.

use crate::suite;
use clarity_chaos::{EventKind, Record, Verdict};
use clarity_chaos_conformance::limits::skip;
use clarity_chaos_conformance::{RunOutput, Suite};
use landlock::{Access as _, Compatible as _, RulesetAttr as _};
use rustix::fs::{XattrFlags, setxattr};
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The unprivileged user `nobody`.
const NOBODY: u32 = 65534;

/// The targets of the escape attempts: files, sockets and a terminal.
struct Victim {
    directory: TempDir,
    tcp: TcpListener,
    _socket: UnixListener,
    name: String,
    _abstract: UnixListener,
    terminal: PathBuf,
    _terminal: nix::pty::OpenptyResult,
}

impl Victim {
    fn new(owner: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for file in ["file", "other", "locked"] {
            fs::write(path.join(file), file).unwrap();
        }
        for name in ["folder", "home", "shut"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        fs::write(path.join("home/secret"), "secret").unwrap();
        let socket = UnixListener::bind(path.join("socket")).unwrap();
        for entry in [
            "",
            "file",
            "other",
            "folder",
            "socket",
            "locked",
            "home",
            "home/secret",
        ] {
            let mode = match entry {
                "" | "folder" | "home" => 0o755,
                "locked" | "shut" => 0o000,
                _ => 0o644,
            };
            let entry = path.join(entry);
            fs::set_permissions(&entry, Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&entry, Some(owner), Some(owner)).unwrap();
        }
        let name = format!("clarity-chaos-victim-{}", path.display());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let terminal = nix::pty::openpty(None, None).unwrap();
        let name_of_terminal = nix::unistd::ttyname(&terminal.slave).unwrap();
        std::os::unix::fs::chown(&name_of_terminal, Some(owner), None).unwrap();
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            _socket: socket,
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            terminal: name_of_terminal,
            _terminal: terminal,
            name,
            directory,
        }
    }

    /// Returns the metadata of the directory and its entries. Also returns the contents of all
    /// files except `locked`.
    fn state(&self) -> Vec<EntryState> {
        let mut entries: Vec<PathBuf> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.push(self.directory.path().to_owned());
        entries.sort();
        entries
            .into_iter()
            .map(|path| {
                let found = fs::symlink_metadata(&path).unwrap();
                let content = match found.is_file() && !path.ends_with("locked") {
                    true => fs::read(&path).unwrap(),
                    false => Vec::new(),
                };
                let changed = found.ctime_nsec() ^ found.ctime();
                (
                    path,
                    found.mode(),
                    found.uid(),
                    found.nlink(),
                    found.mtime(),
                    changed,
                    content,
                )
            })
            .collect()
    }

    /// Makes the attempts that `filter` selects. The runner runs as `user`, or as the current user
    /// if `user` is `None`.
    fn attack(&self, suite: &Suite, filter: &[&str], user: Option<u32>) -> RunOutput {
        let arguments = ["--keep-dirs", "never", "--skip", "escapes::deputies"];
        let arguments = [filter, &arguments].concat();
        self.run(suite, &arguments, user, false)
    }

    fn run(&self, suite: &Suite, arguments: &[&str], user: Option<u32>, fails: bool) -> RunOutput {
        let mut command = suite.command();
        if fails {
            command.env("MISBEHAVING_FAILS", "");
        }
        command
            .args(arguments)
            .args(["--test-threads", "1"])
            .env("MISBEHAVING_VICTIM", self.directory.path())
            .env(
                "MISBEHAVING_TCP",
                self.tcp.local_addr().unwrap().to_string(),
            )
            .env("MISBEHAVING_ABSTRACT", &self.name)
            .env("MISBEHAVING_RUNNER", std::process::id().to_string())
            .env(
                "MISBEHAVING_IPC",
                fs::read_link("/proc/self/ns/ipc").unwrap(),
            )
            .env("HOME", self.directory.path().join("home"))
            .env("MISBEHAVING_HOME", self.directory.path().join("home"))
            .env("MISBEHAVING_TERMINAL", &self.terminal)
            // A program that is instrumented for coverage writes its data at exit. `NOBODY` can
            // write only to this directory.
            .env(
                "LLVM_PROFILE_FILE",
                self.directory.path().join("%p.profraw"),
            )
            .env("RUSTUP_HOME", "/nonexistent")
            .env("CARGO_HOME", "/nonexistent");
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        // The runner inherits this descriptor, and must not pass it on to a test.
        let open = File::open(self.directory.path().join("other")).unwrap();
        let inheritable = rustix::io::FdFlags::empty();
        rustix::io::fcntl_setfd(open.as_fd(), inheritable).unwrap();
        suite.run_command(&mut command)
    }
}

fn notes(record: &Record) -> Vec<&str> {
    let notes = record
        .timeline
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Note { text } => Some(text.as_str()),
            _ => None,
        });
    notes.collect()
}

#[track_caller]
fn assert_all_refused(ran: &RunOutput, victim: &Victim, before: &[EntryState]) {
    // A skipped attempt was not refused, so a skip is a failure.
    let failed: Vec<_> = ran
        .records
        .values()
        .filter(|record| record.verdict != Verdict::Passed)
        .map(|record| format!("{}: {}", record.name, record.verdict))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(before == victim.state(), "the victim was harmed");
    let attempts: usize = ran.records.values().map(|record| notes(record).len()).sum();
    assert!(
        attempts >= 40,
        "only {attempts} attempts were made: {}",
        ran.stdout
    );
}

type EntryState = (PathBuf, u32, u32, u64, i64, i64, Vec<u8>);

/// Names the features that this machine lacks for a complete sandbox. Returns `None` if the machine
/// has all features.
///
/// Does not use the harness: creates the same namespaces and requests Landlock directly.
fn missing_features() -> Option<String> {
    let namespaces = ["--user", "--map-root-user", "--mount", "--net", "--ipc"];
    let has_namespaces = Command::new("unshare")
        .args(namespaces)
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let landlock = landlock::Ruleset::default()
        .set_compatibility(landlock::CompatLevel::HardRequirement)
        .handle_access(landlock::AccessFs::from_all(landlock::ABI::V3));
    let complete = has_namespaces && landlock.is_ok();
    (!complete).then(|| format!("namespaces: {has_namespaces}, Landlock: {landlock:?}"))
}

/// Returns the users that run a suite. The first is this process's user, as `None`. If this process
/// runs as root, the second is `NOBODY`.
fn users() -> impl Iterator<Item = Option<u32>> {
    let root = rustix::process::getuid().is_root();
    [None, Some(NOBODY)].into_iter().take(1 + usize::from(root))
}

#[test]
fn every_attempt_to_escape_is_refused() {
    let missing = missing_features();
    for user in users() {
        let suite = match user {
            Some(user) => suite().for_user(user),
            None => suite(),
        };
        let victim = Victim::new(user.unwrap_or(rustix::process::getuid().as_raw()));
        let before = victim.state();
        let ran = victim.attack(&suite, &["escapes::", "--require-sandbox"], user);
        match &missing {
            None => assert_all_refused(&ran, &victim, &before),
            // Without a complete sandbox, no test is allowed to run.
            Some(_) => assert_eq!((ran.code, ran.records.len()), (Some(3), 0)),
        }
    }
    if let Some(missing) = missing {
        skip(&missing);
    }
}

/// The runner removes or keeps the files of a test, and has more permissions than the test. A
/// test's symlink must not make the runner change files that do not belong to the test.
#[test]
fn runner_follows_no_symlink_of_a_test() {
    for user in users() {
        for fails in [true, false] {
            for keep in ["never", "failed", "always"] {
                let owner = user.unwrap_or(rustix::process::getuid().as_raw());
                let suite = match user {
                    Some(user) => suite().for_user(user),
                    None => suite(),
                };
                let victim = Victim::new(owner);
                let before = victim.state();
                let filter = ["escapes::deputies", "--sandbox", "all", "--keep-dirs", keep];
                let ran = victim.run(&suite, &filter, user, fails);
                let printed = format!(
                    "{user:?}, fails: {fails}, keep: {keep}: {}{}",
                    ran.stdout, ran.stderr
                );
                assert!(before == victim.state(), "the victim was harmed: {printed}");
                let last = &ran.records["escapes::deputies::they_are_gone"];
                assert_eq!(last.verdict, Verdict::Passed, "{printed}");
                for test in ["links_for_folders", "links_for_files", "obstacles"] {
                    let verdict = &ran.records[&format!("escapes::deputies::{test}")].verdict;
                    let message = "as it should".to_owned();
                    let expected = match fails {
                        true => Verdict::Failed { message },
                        false => Verdict::Passed,
                    };
                    assert_eq!(*verdict, expected, "{test}: {printed}");
                }
                assert_eq!(ran.records.len(), 4, "{printed}");
                assert_eq!(ran.code, Some(if fails { 101 } else { 0 }), "{printed}");
                assert!(!printed.contains("failed to"), "{printed}");
            }
        }
    }
}

/// Makes only the attempts that cannot harm other processes. They succeed without the sandbox.
#[test]
fn attempts_succeed_without_the_sandbox() {
    for test in [
        "files::write",
        "files::remove",
        "files::make",
        "files::through_a_symlink",
        "files::through_proc",
        "files::through_a_child",
        "files::the_home",
        "metadata::change",
        "metadata::change_by_a_child",
        "network::loopback",
        "network::unix_path",
        "network::unix_abstract",
        "processes::runner_is_out_of_reach",
        "processes::others_are_not_seen",
        "processes::system_v_ipc",
        "processes::keys",
        "processes::terminals",
    ] {
        let (suite, victim) = (suite(), Victim::new(rustix::process::getuid().as_raw()));
        let name = format!("escapes::{test}");
        let arguments = ["--exact", &name, "--sandbox", "none"];
        let ran = victim.attack(&suite, &arguments, None);
        match &ran.records[&name].verdict {
            Verdict::Failed { message } => assert!(message.starts_with("escaped"), "{message}"),
            other => panic!("{test} without the sandbox: {other}"),
        }
    }
}

#[test]
fn missing_required_sandbox_is_an_error() {
    let suite = suite();
    let ran = suite.run([
        "escapes::files",
        "--require-sandbox",
        "--isolation",
        "thread",
    ]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("--require-sandbox: network not enforced"),
        "{}",
        ran.stderr
    );
    assert!(ran.records.is_empty(), "tests have run");
}

/// On a file system without extended attributes, `setxattr` fails even without the sandbox. A
/// failed attempt would then prove nothing about the sandbox.
#[test]
fn file_system_of_the_victim_has_extended_attributes() {
    let victim = Victim::new(rustix::process::getuid().as_raw());
    let file: &Path = &victim.directory.path().join("file");
    setxattr(file, c"user.harm", b"done", XattrFlags::empty()).unwrap();
}
