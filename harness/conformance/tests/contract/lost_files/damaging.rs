//! A runner whose test has faults in effect outside of the test's directory.

use crate::contract::{until, until_or};
use crate::suite;
use clarity_chaos_conformance::limits::wait;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

/// The state of a file: its kind, mode, owner, inode, modification time and content.
type FileState = (String, u32, u32, u64, SystemTime, Option<Vec<u8>>);

/// Files outside of the test's directory, and their states before the faults.
pub(super) struct Victims {
    pub(super) directory: PathBuf,
    before: BTreeMap<PathBuf, FileState>,
}

impl Victims {
    /// Creates the files next to the suite's temporary directory.
    fn new(suite: &Suite, user: Option<u32>) -> Self {
        let directory = suite.tmp().with_file_name("victims");
        let at = |name: &str| directory.join(name);
        fs::create_dir(&directory).unwrap();
        for name in [
            "delete",
            "displace",
            "displace_by_symlink",
            "truncate",
            "bit_flip",
            "garbage",
            "extend",
            "zeros",
            "replace",
            "torn",
            "twice",
            "permissions",
        ] {
            let text: Vec<u8> = (1..=3000_u32).flat_map(u32::to_le_bytes).collect();
            fs::write(at(name), [name.as_bytes(), &text].concat()).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let source: Vec<u8> = (7000..=9000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(at("source"), source).unwrap();
        fs::create_dir(at("displace_empty")).unwrap();
        fs::create_dir(at("delete_directory")).unwrap();
        fs::write(at("delete_directory").join("file"), "in a directory").unwrap();
        for (path, state) in states(&directory) {
            if let Some(user) = user {
                chown(&path, Some(user), Some(user)).unwrap();
            }
            let opened = fs::File::open(&path).unwrap();
            opened
                .set_modified(state.4 - std::time::Duration::from_secs(86_400))
                .unwrap();
        }
        if let Some(user) = user {
            chown(&directory, Some(user), Some(user)).unwrap();
        }
        let before = states(&directory);
        Self { directory, before }
    }

    /// The paths that differ from their states before the faults.
    pub(super) fn damaged(&self) -> Vec<PathBuf> {
        let now = states(&self.directory);
        let paths: BTreeSet<&PathBuf> = self.before.keys().chain(now.keys()).collect();
        let is_damaged = |path: &&PathBuf| self.before.get(*path) != now.get(*path);
        paths.into_iter().filter(is_damaged).cloned().collect()
    }
}

fn states(directory: &Path) -> BTreeMap<PathBuf, FileState> {
    let mut states = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, found) = (entry.path(), entry.metadata().unwrap());
        let content = match found.is_file().then(|| fs::read(&path)).transpose() {
            // An ordinary user cannot read a file while its permissions are taken away.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
            read => read.unwrap(),
        };
        if found.is_dir() {
            states.extend(self::states(&path));
        }
        let state = (
            format!("{:?}", found.file_type()),
            found.mode(),
            found.uid(),
            found.ino(),
            found.modified().unwrap(),
            content,
        );
        states.insert(path, state);
    }
    states
}

/// The user of the suite, as root is and is not: `None` is the user of this process.
pub(super) fn users() -> Vec<Option<u32>> {
    match rustix::process::getuid().is_root() {
        true => vec![None, Some(65534)],
        false => vec![None],
    }
}

/// A runner whose test has all faults in effect.
pub(super) struct Damaging {
    pub(super) suite: Suite,
    user: Option<u32>,
    pub(super) victims: Victims,
    pub(super) runner: Child,
}

impl Damaging {
    pub(super) fn start(user: Option<u32>, test: &str, arguments: &[&str]) -> Self {
        let suite = match user {
            Some(user) => suite().for_user(user),
            None => suite(),
        };
        let victims = Victims::new(&suite, user);
        let mut command = suite.command();
        command
            .args([
                "--exact",
                &format!("lost_files::{test}"),
                "--sandbox",
                "none",
            ])
            .args(arguments)
            .env("MISBEHAVING_DIR", &victims.directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let runner = as_user(&mut command, user).spawn().unwrap();
        until(|| suite.timeline_contains("all faults are in effect"));
        assert!(victims.damaged().len() > 10, "the faults have no effect");
        Self {
            suite,
            user,
            victims,
            runner,
        }
    }

    pub(super) fn signal(&self, signal: &str) {
        kill(signal, self.runner.id());
    }

    /// Kills runner and supervisor at once, and waits until no process is left.
    pub(super) fn kill_all(&mut self) {
        let parents = self.suite.processes().into_iter();
        let supervisors: Vec<u32> = parents
            .map(|(pid, _)| pid)
            .filter(|pid| parent_of(*pid) == Some(self.runner.id()))
            .collect();
        self.signal("STOP");
        for pid in supervisors {
            kill("KILL", pid);
        }
        self.signal("KILL");
        wait(&mut self.runner);
        until(|| self.suite.processes().is_empty());
    }

    /// Runs a test that passes, as the next run with the same `TMPDIR`.
    pub(super) fn next_run(&self) -> RunOutput {
        self.next_run_of(&self.suite)
    }

    fn next_run_of(&self, suite: &Suite) -> RunOutput {
        let mut command = suite.command();
        command
            .args(["--exact", "tags::model"])
            .env("TMPDIR", self.suite.tmp());
        let ran = suite.run_command(as_user(&mut command, self.user));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    }

    /// The directory of the killed run.
    pub(super) fn run_dir(&self) -> PathBuf {
        let mut entries = fs::read_dir(self.suite.tmp()).unwrap();
        entries
            .next()
            .expect("the run's directory is kept")
            .unwrap()
            .path()
    }

    #[track_caller]
    pub(super) fn assert_restored(&self, context: &str) {
        assert_eq!(self.victims.damaged(), [] as [PathBuf; 0], "{context}");
        until_or(|| is_empty(&self.suite.tmp()), || context.to_owned());
    }
}

fn as_user(command: &mut Command, user: Option<u32>) -> &mut Command {
    match user {
        Some(user) => command.uid(user).gid(user),
        None => command,
    }
}

pub(super) fn kill(signal: &str, pid: u32) {
    let killed = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(killed.unwrap().success(), "process {pid} has already ended");
}

pub(super) fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}
