//! The file systems that are tried.

use crate::command::run;
use crate::error::{Error, Result};
use crate::image::Image;
use clarity_chaos_disk::PowerLoss;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

impl FileSystem {
    pub(crate) const ALL: [Self; 3] = [Self::Ext4, Self::Xfs, Self::Btrfs];

    /// Returns the name for `mount`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Returns the models that must have each of its states.
    pub(crate) fn models(self) -> &'static [PowerLoss] {
        match self {
            Self::Ext4 => &[PowerLoss::Journaled, PowerLoss::Ext4Ordered],
            Self::Xfs | Self::Btrfs => &[PowerLoss::Journaled],
        }
    }

    pub(crate) fn default_programs(self) -> usize {
        match self {
            Self::Ext4 => 200,
            Self::Xfs | Self::Btrfs => 50,
        }
    }

    /// Returns the size of a small disk, in MiB.
    fn size(self) -> u64 {
        match self {
            Self::Ext4 => 8,
            Self::Xfs => 300,
            Self::Btrfs => 128,
        }
    }

    /// Returns the program that makes a file system, with its options.
    fn maker(self) -> &'static [&'static str] {
        match self {
            // Nothing is left for a thread of the kernel to initialize.
            Self::Ext4 => &[
                "mkfs.ext4",
                "-q",
                "-F",
                "-b",
                "4096",
                "-E",
                "lazy_itable_init=0,lazy_journal_init=0",
            ],
            Self::Xfs => &["mkfs.xfs", "-q", "-f"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-f"],
        }
    }

    /// Returns the reason why this file system cannot be tried on this machine.
    pub(crate) fn missing(self) -> Option<String> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let knows = |name: &str| {
            known
                .lines()
                .any(|line| line.split('\t').nth(1) == Some(name))
        };
        for name in [self.name(), "fuse"] {
            // A file system in a module is known once the module is loaded.
            if !knows(name) && run(Command::new("modprobe").arg(name)).is_err() {
                return Some(format!("this kernel has no {name}"));
            }
        }
        let programs = ["losetup", "unshare", self.maker()[0]];
        let starts = |program: &&str| {
            let found = Command::new(program).arg("-V").output();
            found.is_ok()
        };
        let missing = programs.into_iter().find(|program| !starts(program))?;
        Some(format!("there is no program {missing}"))
    }

    /// Makes an empty file system. `scratch` is a directory for its file.
    pub(crate) fn make(self, scratch: &Path) -> Result<Image> {
        let path = scratch.join("template");
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(Error::at("create", &path))?;
        file.set_len(self.size() << 20)
            .map_err(Error::at("resize", &path))?;
        let (program, options) = self.maker().split_first().expect("a program comes first");
        run(Command::new(program).args(options).arg(&path))?;
        let image = Image::read(&mut file).map_err(Error::at("read", &path))?;
        fs::remove_file(&path).map_err(Error::at("remove", &path))?;
        Ok(image)
    }
}
