//! The undisturbed run of an operation. All other runs are compared with this run.

use super::operation_call::OperationCall;
use super::operation_process::OperationProcess;
use super::operation_run::{CallPoint, OperationRun};
use crate::syscalls::file_call::{Effect, FileCall};
use std::collections::HashMap;

/// The calls of an undisturbed run.
#[derive(Debug)]
pub(super) struct Baseline {
    calls: Vec<FileCall>,
    /// The process that made each call.
    callers: Vec<OperationProcess>,
    /// Whether a process of the operation besides its own made calls.
    has_several_processes: bool,
    /// Whether each process can be told from the others, and makes its calls in one thread.
    is_sequential_by_process: bool,
    /// Whether one thread made all calls.
    is_sequential: bool,
}

impl Baseline {
    pub(super) fn new(run: OperationRun) -> Self {
        Self {
            is_sequential_by_process: is_sequential_by_process(&run),
            is_sequential: run.calls.windows(2).all(|pair| pair[0].0 == pair[1].0),
            has_several_processes: !run.callers.iter().all(OperationProcess::is_operation),
            callers: run.callers,
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

    /// Names the process that made the call with this index. Gives none if the operation's own
    /// process made all calls.
    pub(super) fn process(&self, index: usize) -> Option<OperationProcess> {
        self.has_several_processes.then(|| self.callers[index])
    }

    /// Gives the [`CallPoint`] that identifies a call in other runs. `index` is the call's index in
    /// the baseline.
    pub(super) fn point(&self, index: usize) -> CallPoint {
        if self.is_sequential {
            return CallPoint::Index(index);
        }
        if self.is_sequential_by_process {
            let caller = self.callers[index];
            let is_same = |other: &&OperationProcess| other.is_same(&caller);
            return CallPoint::OfProcess(
                caller,
                self.callers[..index].iter().filter(is_same).count(),
            );
        }
        let (call, path) = (&self.calls[index], self.calls[index].effect.path());
        let is_like = |other: &&FileCall| other.name == call.name && other.effect.path() == path;
        let earlier = self.calls[..index].iter().filter(is_like).count();
        CallPoint::Occurrence(call.name, path.to_owned(), earlier)
    }

    /// Whether the call with this index has the same name in `run` as in the baseline. Always true
    /// if several threads of a process made the calls, since the order of their calls can differ.
    pub(super) fn has_same_call(&self, run: &OperationRun, index: usize) -> bool {
        let found = match self.point(index) {
            CallPoint::Index(index) => run.calls.get(index),
            CallPoint::Occurrence(..) => {
                let victim = run.victim;
                return victim.is_none_or(|victim| victim.is_same(&self.callers[index]));
            }
            CallPoint::OfProcess(process, index) => {
                let calls = run.calls.iter().zip(&run.callers);
                let mut own = calls.filter(|(_, caller)| caller.is_same(&process));
                own.nth(index).map(|(call, _)| call)
            }
        };
        found.is_some_and(|(_, call)| call.name == self.calls[index].name)
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
            process: self.process(index),
            location: None,
        }
    }
}

/// Whether each process can be told from the others, and makes its calls in one thread.
fn is_sequential_by_process(run: &OperationRun) -> bool {
    let mut threads: HashMap<&[u32], u32> = HashMap::new();
    let mut calls = run.calls.iter().zip(&run.callers);
    calls.all(|((thread, _), caller)| {
        let first = threads.entry(caller.numbers()).or_insert(*thread);
        caller.is_identified() && first == thread
    })
}
