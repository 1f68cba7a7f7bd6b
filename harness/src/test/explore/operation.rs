//! An operation of a test, which runs in its directory.

use super::child::{Child, Purpose};
use super::directory_content::identities;
use super::intervention::Intervention;
use super::mapped_files::MappedFiles;
use super::monitor::{Monitor, MonitorSettings};
use super::operation_run::OperationRun;
use super::orphans::Orphans;
use super::recorder::Recorder;
use super::volatile_files::VolatilePatterns;
use crate::os::seccomp::filter::SyscallPattern;
use crate::syscalls::decoder::Decoder;
use clarity_chaos_disk::Snapshot;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

/// An operation, with the values that all runs of the operation share.
pub(super) struct Operation<'a> {
    pub(super) directory: &'a Path,
    pub(super) patterns: &'a [SyscallPattern],
    pub(super) orphans: &'a Orphans,
    /// Whether runs with a failing call also record the written bytes.
    pub(super) records_bytes: bool,
    /// Whether undisturbed runs look for calls that can be split.
    pub(super) finds_divisible: bool,
    pub(super) volatile: &'a VolatilePatterns,
    /// Whether runs with written bytes also record the content after each call.
    pub(super) records_contents: bool,
    /// The time after which the operation is killed.
    pub(super) limit: Option<Duration>,
    pub(super) work: &'a (dyn Fn(&Path) -> Result<(), String> + Sync),
}

impl Operation<'_> {
    /// Runs the operation in its directory, which must have the content `before`.
    pub(super) fn run(
        &self,
        before: &Snapshot,
        intervention: &Intervention,
    ) -> io::Result<OperationRun> {
        let records = match intervention {
            Intervention::None | Intervention::Kill(_) => true,
            Intervention::Fail { .. } | Intervention::Shorten(_) => self.records_bytes,
            Intervention::KillProcess(_) | Intervention::Locate(_) => false,
        };
        let files = match records {
            true => identities(before, self.directory),
            false => BTreeMap::new(),
        };
        let child = Child::spawn(Purpose::Operation(self.patterns), || {
            (self.work)(self.directory)
        })?;
        Monitor::new(
            Decoder::new(self.directory, records),
            Recorder::new(records, files, self.records_contents),
            MappedFiles::new(self.directory, self.patterns, self.volatile),
            child,
            MonitorSettings {
                finds_divisible: self.finds_divisible,
                limit: self.limit,
                orphans: self.orphans,
                directory: self.directory,
            },
            intervention,
        )
        .run()
    }
}
