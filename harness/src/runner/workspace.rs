//! The runner's view of a worker's directory. Creates the directory of each case, and removes the
//! case's files before the next case begins.

use crate::data::case::{Case, CaseSpec, WorkerDir};
use crate::os::change_detector::ChangeDetector;
use crate::os::directory::{ensure_directory, entry_names, remove};
use crate::os::file_hole;
use crate::os::temporary_directory::with_temporary_directory;
use crate::os::timestamp_granularity::TimestampGranularity;
use crate::runner::captured_output;
use crate::runner::evidence::{Evidence, StrayFiles};
use crate::runner::exploration_progress;
use crate::runner::log_file::LogFile;
use crate::runner::output_bound::OutputBound;
use clarity_chaos_record::{CapturedOutput, read_timeline};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A worker's directory, in which one case runs after another.
#[derive(Debug)]
pub(crate) struct Workspace {
    worker: WorkerDir,
    output: LogFile,
    /// The bound of the running case's output.
    bound: OutputBound,
    timeline: LogFile,
    times: TimestampGranularity,
    /// Detects changes of the directory `work`, which contains `tmp` and the case's directory.
    work: ChangeDetector,
    tmp: ChangeDetector,
    /// The directories of the running case, or the empty directories of the last case.
    // The next case reuses empty directories. Otherwise, creating and removing these directories
    // would be the largest cost of running an empty test.
    case_dirs: Option<CaseDirs>,
}

#[derive(Debug)]
struct CaseDirs {
    root: ChangeDetector,
    dir: ChangeDetector,
    home: ChangeDetector,
}

impl CaseDirs {
    /// Creates the directories of a case.
    fn create(case: &Case, times: TimestampGranularity) -> io::Result<Self> {
        let (root, dir, home) = (case.root().to_owned(), case.dir(), case.home());
        for path in [&root, &dir, &home] {
            fs::create_dir(path).map_err(|error| {
                let text = format!("cannot create {}: {error}", path.display());
                io::Error::new(error.kind(), text)
            })?;
        }
        Ok(Self {
            root: ChangeDetector::new(root, 2, times),
            dir: ChangeDetector::new(dir, 0, times),
            home: ChangeDetector::new(home, 0, times),
        })
    }

    /// Whether the next case can use the directories: they are as they were created.
    fn are_spare(&mut self) -> bool {
        self.root.is_unchanged() && self.dir.is_unchanged() && self.home.is_unchanged()
    }
}

impl Workspace {
    /// Opens the workspace in the directory of a worker that has not run a case yet.
    pub(crate) fn open(worker: WorkerDir) -> io::Result<Self> {
        Self::open_files(worker).map_err(with_temporary_directory)
    }

    fn open_files(worker: WorkerDir) -> io::Result<Self> {
        let times = TimestampGranularity::measure(&worker.tmp())?;
        Ok(Self {
            output: LogFile::open(worker.output())?,
            bound: OutputBound::default(),
            timeline: LogFile::open(worker.timeline())?,
            work: ChangeDetector::new(worker.work(), 2, times),
            tmp: ChangeDetector::new(worker.tmp(), 0, times),
            times,
            worker,
            case_dirs: None,
        })
    }

    /// Creates the directories of the next case, or reuses the empty directories of the last case.
    pub(crate) fn begin(&mut self, spec: CaseSpec) -> io::Result<Case> {
        self.create_directories(spec)
            .map_err(with_temporary_directory)
    }

    fn create_directories(&mut self, spec: CaseSpec) -> io::Result<Case> {
        self.output.clear()?;
        self.bound = OutputBound::default();
        self.timeline.clear()?;
        let case = Case::new(&self.worker, spec);
        if self.case_dirs.is_none() {
            self.case_dirs = Some(CaseDirs::create(&case, self.times)?);
            self.work.accept_change();
        }
        Ok(case)
    }

    /// Opens the file with the output of the current case. The reader must count the bytes that it
    /// has copied.
    pub(crate) fn open_output(&self) -> io::Result<(File, Arc<AtomicU64>)> {
        Ok((self.output.reopen()?, self.bound.add_reader()))
    }

    /// Frees the middle of a long output of the running case.
    pub(crate) fn bound_output(&mut self) {
        // An error is ignored: the same file is read after the case, and then an error is reported.
        let _ = self.bound.apply(self.output.file(), file_hole::punch);
    }

    /// Reads the evidence of the case that has just ended.
    pub(crate) fn evidence(&mut self, case: &Case) -> Evidence {
        Evidence {
            timeline: self.timeline.rewound().and_then(read_timeline),
            unwritten: self.timeline.failed_write().map(with_temporary_directory),
            exploring: exploration_progress::read(&case.exploring()),
            output: self.output.len().and_then(|length| match length {
                0 => Ok(CapturedOutput::default()),
                length => captured_output::read(self.output.rewound()?, length),
            }),
            unbounded_output: self.bound.failure(),
            stray_files: self.stray_files(case),
        }
    }

    /// Lists the files that the case left in its home directory, and in `work` outside of its own
    /// directory.
    fn stray_files(&mut self, case: &Case) -> StrayFiles {
        let mut strays = StrayFiles {
            names: Ok(Vec::new()),
            touched: true,
        };
        match self.strays_in_work(case) {
            Ok(Some(names)) => strays.names = Ok(names),
            Ok(None) => strays.touched = false,
            Err(error) => strays.names = Err(error),
        }
        let home = self.case_dirs.as_mut().map(|dirs| &mut dirs.home);
        if let (Ok(names), Some(home)) = (&mut strays.names, home)
            && !home.is_unchanged()
        {
            names.extend(list(home.path(), "home"));
        }
        strays
    }

    /// Lists the files that the case left in `work`, outside its own directory. Returns `None` if
    /// the case changed nothing outside that directory.
    fn strays_in_work(&mut self, case: &Case) -> io::Result<Option<Vec<String>>> {
        if self.work.is_proven_unchanged() && self.tmp.is_unchanged() {
            return Ok(None);
        }
        let work = self.worker.work();
        let (own, tmp) = (case.root(), self.worker.tmp());
        let strays: Vec<PathBuf> = entry_names(&work)?
            .into_iter()
            .map(|name| work.join(name))
            .filter(|path| path != own && *path != tmp)
            .collect();
        if strays.is_empty() && self.work.has_its_permissions() && self.tmp.is_unchanged() {
            return Ok(None);
        }
        let mut left: Vec<String> = strays
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        left.extend(list(&tmp, "tmp"));
        Ok(Some(left))
    }

    /// Removes all files of the case. `touched` must be true if the case changed anything in `work`
    /// outside its own directory.
    pub(crate) fn remove(&mut self, case: &Case, touched: bool) -> io::Result<()> {
        let is_spare = self.case_dirs.as_mut().is_some_and(CaseDirs::are_spare);
        if touched || !is_spare {
            self.case_dirs = None;
            remove(case.root())?;
        }
        if touched {
            let work = self.worker.work();
            for name in entry_names(&work)? {
                remove(&work.join(name))?;
            }
            self.work.restore_permissions()?;
            self.make_tmp()?;
        }
        Ok(())
    }

    /// Copies the kept parts of the case's output, its timeline and its name into the case's
    /// directory. If `touched` is set, also moves the directory `tmp` there. This workspace must
    /// not be used afterwards: another test could change the kept files.
    ///
    /// Replaces files and symlinks that the test created at the target paths. Never follows these
    /// symlinks, which could lead outside the sandbox.
    pub(crate) fn keep(&mut self, case: &Case, touched: bool) -> io::Result<()> {
        self.case_dirs = None;
        let root = case.root();
        ensure_directory(root)?;
        let create = |name: &str| {
            let path = root.join(name);
            remove(&path)?;
            File::create_new(path)
        };
        create("test")?.write_all(format!("{}\n", case.spec.name).as_bytes())?;
        let length = self.output.len()?;
        let output = captured_output::read_bytes(self.output.rewound()?, length)?;
        create("output")?.write_all(&output)?;
        io::copy(self.timeline.rewound()?, &mut create("timeline.jsonl")?)?;
        if touched {
            let kept = root.join("tmp");
            remove(&kept)?;
            fs::rename(self.tmp.path(), kept)?;
            self.make_tmp()?;
        }
        Ok(())
    }

    fn make_tmp(&mut self) -> io::Result<()> {
        fs::create_dir(self.tmp.path())?;
        self.tmp = ChangeDetector::new(self.worker.tmp(), 0, self.times);
        Ok(())
    }
}

/// Lists the entries of a directory, each as `NAME/ENTRY`. A directory that cannot be read is an
/// entry with the error.
fn list(directory: &Path, name: &str) -> Vec<String> {
    match entry_names(directory) {
        Ok(entries) => {
            let entries = entries.iter();
            entries
                .map(|entry| format!("{name}/{}", entry.display()))
                .collect()
        }
        Err(error) => vec![format!("{name}: {error}")],
    }
}
