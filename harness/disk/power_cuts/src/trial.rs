//! One program on one file system: the calls, the cuts, and the files found after each cut.

use crate::background::Background;
use crate::calls::Caller;
use crate::device::LoopDevice;
use crate::error::{Error, Result};
use crate::file_system::FileSystem;
use crate::fuse::Server;
use crate::image::Image;
use crate::moments::{Cut, Moment, moments};
use crate::programs::Program;
use crate::recorder::{Record, Recorder};
use crate::reference::process_call::ProcessCall;
use crate::tree;
use clarity_chaos_disk::Snapshot;
use rand_chacha::ChaCha8Rng;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The directory of the program below the root of the file system.
const DIRECTORY: &str = "program";

/// A disk with one kind of file system.
///
/// Fields are dropped in this order: the server must outlive the loop device.
#[derive(Debug)]
pub(crate) struct Bench {
    device: LoopDevice,
    _server: Server,
    recorder: Recorder,
    template: Image,
    mountpoint: PathBuf,
    file_system: FileSystem,
    interrupted: Arc<AtomicBool>,
}

/// The cuts of one run of a program.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) observations: Vec<Observation>,
    /// The requests to the disk, as text.
    pub(crate) requests: String,
}

/// The disk after a cut.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) moment: Moment,
    /// The files found, or the error if the file system cannot be mounted or read.
    pub(crate) found: Result<Arc<Snapshot>, String>,
}

impl Bench {
    /// Makes the file system. `scratch` is an empty directory.
    pub(crate) fn new(
        file_system: FileSystem,
        scratch: &Path,
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self> {
        let template = file_system.make(scratch)?;
        let [served, mountpoint] = ["disk", "mounted"].map(|name| scratch.join(name));
        for directory in [&served, &mountpoint] {
            fs::create_dir(directory).map_err(Error::at("create", directory))?;
        }
        let recorder = Recorder::new(template.clone());
        let server = Server::start(&served, recorder.clone())?;
        Ok(Self {
            device: LoopDevice::attach(&server.file())?,
            _server: server,
            recorder,
            template,
            mountpoint,
            file_system,
            interrupted,
        })
    }

    /// Runs a program, and cuts the power at each moment of its requests.
    pub(crate) fn run(
        &self,
        program: &Program,
        before: &Snapshot,
        live: &Snapshot,
        lost: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Trial> {
        let (base, log) = self.record(program, before, live, rng)?;
        let mut observations = Vec::new();
        let mut current = self.recover(base.clone())?;
        for mut moment in moments(&base, &log, lost, rng) {
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let found = match (moment.image.take(), &moment.cut) {
                (None, _) => current.clone(),
                (Some(image), Cut::Lost(_)) => self.recover(image)?,
                (Some(image), _) => {
                    current = self.recover(image)?;
                    current.clone()
                }
            };
            observations.push(Observation { moment, found });
        }
        let requests = requests(&log);
        Ok(Trial {
            observations,
            requests,
        })
    }

    /// Makes the calls of a program on a new file system. Returns the disk before the first call,
    /// and the requests since.
    fn record(
        &self,
        program: &Program,
        before: &Snapshot,
        live: &Snapshot,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Image, Vec<Record>)> {
        self.recorder.load(self.template.clone());
        let mounted = self.mount()?;
        let root = self.mountpoint.join(DIRECTORY);
        tree::make(&root, before).map_err(Error::at("make files in", &root))?;
        let path = self.mountpoint.join("other");
        let at = |action| Error::at(action, &path);
        let mut other = File::create(&path).map_err(at("create"))?;
        rustix::fs::syncfs(&other).map_err(Error::at("sync", &path))?;
        let base = self.recorder.start();
        let mut caller = Caller::new(root.clone());
        for (number, ProcessCall { op, .. }) in program.calls.iter().enumerate() {
            if let Some(background) = Background::draw(rng) {
                self.recorder.add(Record::Background(background));
                let done = background.run(&root, &mut other);
                done.map_err(Error::at("work in the background of", &root))?;
            }
            self.recorder.add(Record::Start);
            caller.call(op).map_err(|source| Error::Call {
                number: number + 1,
                call: format!("{op:?}"),
                source,
            })?;
            self.recorder.add(Record::Return);
        }
        let found = tree::read(&root).map_err(Error::at("read", &root))?;
        // The commit that a timer would make.
        rustix::fs::syncfs(&other).map_err(Error::at("sync", &path))?;
        let log = self.recorder.stop();
        drop((caller, other));
        mounted.unmount()?;
        if found != *live {
            return Err(Error::Live(format!("{program:?}")));
        }
        Ok((base, log))
    }

    /// Mounts a disk after a cut, and reads the files of the program.
    fn recover(&self, image: Image) -> Result<Result<Arc<Snapshot>, String>> {
        self.recorder.load(image);
        let mounted = match self.mount() {
            Ok(mounted) => mounted,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let found = tree::read(&self.mountpoint.join(DIRECTORY));
        mounted.unmount()?;
        Ok(found.map(Arc::new).map_err(|error| error.to_string()))
    }

    fn mount(&self) -> Result<crate::device::Mounted> {
        self.device.mount(&self.mountpoint, self.file_system.name())
    }
}

/// Formats a log: `w` for a write, `F` for a flush, each call with its requests in brackets, and
/// the kernel's own work in parentheses.
fn requests(log: &[Record]) -> String {
    let mut text = String::new();
    let mut calls = 0;
    for record in log {
        match record {
            Record::Write { .. } => text.push('w'),
            Record::Flush => text.push('F'),
            Record::Background(background) => text += &format!(" ({background:?}) "),
            Record::Start => {
                calls += 1;
                text += &format!(" {calls}[");
            }
            Record::Return => text.push(']'),
        }
    }
    text
}
