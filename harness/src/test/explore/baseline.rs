//! The undisturbed run of an operation. All other runs are compared with this run.

use super::operation_call::OperationCall;
use super::operation_run::{CallPoint, OperationRun};
use super::volatile_files::VolatileContents;
use crate::syscalls::file_call::{Effect, FileCall};

/// The calls of an undisturbed run.
#[derive(Debug)]
pub(super) struct Baseline {
    calls: Vec<FileCall>,
    /// Whether one thread made all calls.
    is_sequential: bool,
    /// The contents of mapped volatile files.
    pub(super) volatile: VolatileContents,
}

impl Baseline {
    pub(super) fn new(run: OperationRun) -> Self {
        Self {
            is_sequential: run.calls.windows(2).all(|pair| pair[0].0 == pair[1].0),
            volatile: run.volatile,
            calls: run.calls.into_iter().map(|(_, call)| call).collect(),
        }
    }

    /// Returns the number of acknowledgements before the call with this index.
    pub(super) fn acknowledgements(&self, index: usize) -> usize {
        let made = self.calls[..index].iter();
        made.filter(|call| call.effect == Effect::Acknowledge)
            .count()
    }

    /// Whether one thread made all calls.
    pub(super) fn is_sequential(&self) -> bool {
        self.is_sequential
    }

    pub(super) fn calls(&self) -> &[FileCall] {
        &self.calls
    }

    /// Gives the [`CallPoint`] that identifies a call in other runs. `index` is the call's index in
    /// the baseline.
    pub(super) fn point(&self, index: usize) -> CallPoint {
        if self.is_sequential {
            return CallPoint::Index(index);
        }
        let (call, path) = (&self.calls[index], self.calls[index].effect.path());
        let is_like = |other: &&FileCall| other.name == call.name && other.effect.path() == path;
        let earlier = self.calls[..index].iter().filter(is_like).count();
        CallPoint::Occurrence(call.name, path.to_owned(), earlier)
    }

    /// Whether the call with this index has the same name in `run` as in the baseline. Always true
    /// if several threads made the calls, since the order of their calls can differ.
    pub(super) fn has_same_call(&self, run: &OperationRun, index: usize) -> bool {
        match run.calls.get(index) {
            Some((_, call)) if self.is_sequential => call.name == self.calls[index].name,
            _ => !self.is_sequential,
        }
    }

    /// Describes the call with this index for an error. The description lacks the call's place in
    /// the code.
    pub(super) fn describe(&self, index: usize) -> OperationCall {
        let call = &self.calls[index];
        OperationCall {
            number: index + 1,
            total: self.calls.len(),
            name: call.name,
            path: call.effect.path().to_owned(),
            description: call.to_string(),
            location: None,
        }
    }
}
