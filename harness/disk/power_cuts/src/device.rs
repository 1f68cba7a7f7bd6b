//! The block device and the mounted file system. Both are released when they are dropped.

use crate::command::run;
use crate::error::{Error, Result};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// A loop device.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Attaches a loop device with direct I/O, so that the file gets each request at once.
    pub(crate) fn attach(file: &Path) -> Result<Self> {
        let mut command = Command::new("losetup");
        command
            .args(["--find", "--show", "--direct-io=on"])
            .arg(file);
        let path = run(&mut command)?.into();
        Ok(Self { path })
    }

    /// Mounts the file system with its default options.
    pub(crate) fn mount(&self, directory: &Path, file_system: &str) -> Result<Mounted> {
        mount(
            &self.path,
            directory,
            file_system,
            MountFlags::empty(),
            None,
        )
        .map_err(Error::at("mount", directory))?;
        Ok(Mounted {
            directory: Some(directory.to_owned()),
        })
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("losetup").arg("--detach").arg(&self.path)) {
            eprintln!("warning: {error}");
        }
    }
}

/// A mounted file system.
#[derive(Debug)]
pub(crate) struct Mounted {
    directory: Option<PathBuf>,
}

impl Mounted {
    /// Unmounts the file system, and waits for its last request.
    pub(crate) fn unmount(mut self) -> Result<()> {
        let Some(directory) = self.directory.take() else {
            return Ok(());
        };
        for _ in 0..100 {
            match unmount(&directory, UnmountFlags::empty()) {
                // A scanner of files may be in the directory for a moment.
                Err(Errno::BUSY) => thread::sleep(Duration::from_millis(20)),
                result => return result.map_err(Error::at("unmount", &directory)),
            }
        }
        self.directory = Some(directory.clone());
        Err(Error::at("unmount", &directory)(Errno::BUSY))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            let _ = unmount(directory, UnmountFlags::DETACH);
        }
    }
}
