//! The sandbox holds: every attempt to get out is refused, and every attempt is a real one.

use crate::suite;
use clarity_chaos::{Record, Verdict, What};
use clarity_chaos_conformance::{Ran, Suite};
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
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An ordinary user: the one whom systems have for nobody's files.
const NOBODY: u32 = 65534;

/// What the attempts are made upon.
struct Victim {
    folder: TempDir,
    tcp: TcpListener,
    _socket: UnixListener,
    name: String,
    _abstract: UnixListener,
    terminal: PathBuf,
    _terminal: nix::pty::OpenptyResult,
}

impl Victim {
    fn new(owner: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for file in ["file", "other", "locked"] {
            fs::write(path.join(file), file).unwrap();
        }
        for folder in ["folder", "home", "shut"] {
            fs::create_dir(path.join(folder)).unwrap();
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
            let rights = match entry {
                "" | "folder" | "home" => 0o755,
                "locked" | "shut" => 0o000,
                _ => 0o644,
            };
            let entry = path.join(entry);
            fs::set_permissions(&entry, Permissions::from_mode(rights)).unwrap();
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
            folder,
        }
    }

    /// Everything that can be known of it.
    fn state(&self) -> Vec<State> {
        let mut entries: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.push(self.folder.path().to_owned());
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

    /// Makes the attempts in `filter`, with the runner as another user if one is given.
    fn attack(&self, suite: &Suite, filter: &[&str], user: Option<u32>) -> Ran {
        let arguments = ["--keep-dirs", "never", "--skip", "escapes::deputies"];
        let arguments = [filter, &arguments].concat();
        self.run(suite, &arguments, user, false)
    }

    fn run(&self, suite: &Suite, arguments: &[&str], user: Option<u32>, fails: bool) -> Ran {
        let mut command = suite.command();
        if fails {
            command.env("MISBEHAVING_FAILS", "");
        }
        command
            .args(arguments)
            .args(["--test-threads", "1"])
            .env("MISBEHAVING_VICTIM", self.folder.path())
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
            .env("HOME", self.folder.path().join("home"))
            .env("MISBEHAVING_TERMINAL", &self.terminal)
            // Coverage is none of a program that does not count it.
            .env("LLVM_PROFILE_FILE", self.folder.path().join("%p.profraw"))
            .env("RUSTUP_HOME", "/nonexistent")
            .env("CARGO_HOME", "/nonexistent")
            .stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        // One that the runner's caller has left open for it by mistake.
        let open = File::open(self.folder.path().join("other")).unwrap();
        let inheritable = rustix::io::FdFlags::empty();
        rustix::io::fcntl_setfd(open.as_fd(), inheritable).unwrap();
        let output = command.output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            records: suite.records(),
        }
    }
}

fn notes(record: &Record) -> Vec<&str> {
    let notes = record
        .timeline
        .iter()
        .filter_map(|event| match &event.what {
            What::Note { text } => Some(text.as_str()),
            _ => None,
        });
    notes.collect()
}

#[track_caller]
fn assert_all_refused(ran: &Ran, victim: &Victim, before: &impl PartialEq<Vec<State>>) {
    let failed: Vec<_> = ran
        .records
        .values()
        .filter(|record| record.verdict.is_failure())
        .map(|record| format!("{}: {}", record.name, record.verdict))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(*before == victim.state(), "the victim was harmed");
    let told: usize = ran.records.values().map(|record| notes(record).len()).sum();
    assert!(told >= 40, "only {told} attempts were made: {}", ran.stdout);
}

type State = (PathBuf, u32, u32, u64, i64, i64, Vec<u8>);

/// Whether the sandbox has to be complete here, found out without it: by making namespaces as it does, and asking for Landlock.
fn must_be_complete() -> bool {
    let namespaces = ["--user", "--map-root-user", "--mount", "--net", "--ipc"];
    let possible = Command::new("unshare")
        .args(namespaces)
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let asked = landlock::Ruleset::default()
        .set_compatibility(landlock::CompatLevel::HardRequirement)
        .handle_access(landlock::AccessFs::from_all(landlock::ABI::V3));
    if !possible || asked.is_err() {
        eprintln!("not tried: namespaces: {possible}, Landlock: {asked:?}");
    }
    possible && asked.is_ok()
}

#[test]
fn every_attempt_to_get_out_is_refused() {
    let (suite, victim) = (suite(), Victim::new(rustix::process::getuid().as_raw()));
    let before = victim.state();
    let ran = victim.attack(&suite, &["escapes::", "--require-sandbox"], None);
    if must_be_complete() {
        assert_all_refused(&ran, &victim, &before);
    }
}

#[test]
fn an_ordinary_user_is_as_shut_in_as_root() {
    if !rustix::process::getuid().is_root() {
        return; // the other test was it
    }
    let suite = suite().for_user(NOBODY);
    let victim = Victim::new(NOBODY);
    let before = victim.state();
    let ran = victim.attack(&suite, &["escapes::", "--require-sandbox"], Some(NOBODY));
    if must_be_complete() {
        assert_all_refused(&ran, &victim, &before);
    }
}

/// The runner, who may do more than a test, is not made to do it when it removes or keeps what a test has left.
#[test]
fn the_runner_follows_no_link_of_a_test() {
    let root = rustix::process::getuid().is_root();
    let users = [None, Some(NOBODY)].into_iter();
    for user in users.take(if root { 2 } else { 1 }) {
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
                let told = format!("{user:?}, fails: {fails}, keep: {keep}: {}", ran.stdout);
                assert!(before == victim.state(), "the victim was harmed: {told}");
                let last = &ran.records["escapes::deputies::they_are_gone"];
                assert_eq!(last.verdict, Verdict::Passed, "{told}");
                assert_eq!(ran.records.len(), 4, "{told}");
                assert_eq!(ran.code, Some(if fails { 101 } else { 0 }), "{told}");
                assert!(!told.contains("failed to"), "{told}");
            }
        }
    }
}

/// Without walls, what is harmless to others succeeds: no attempt was refused because it was made wrongly.
#[test]
fn without_the_sandbox_the_attempts_succeed() {
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
fn a_sandbox_that_is_required_and_not_there_is_an_error() {
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

/// Attributes are refused by walls, and not by a file system that has none.
#[test]
fn the_victims_file_system_has_attributes() {
    let victim = Victim::new(rustix::process::getuid().as_raw());
    let file: &Path = &victim.folder.path().join("file");
    setxattr(file, c"user.harm", b"done", XattrFlags::empty()).unwrap();
}
