//! The undisturbed run of an operation. All other runs are compared with this run.

use super::call_identity::{
    CallContext, CallIdentifier, CallIdentity, FixedNames, Precision, components, names,
};
use super::directory_content::DirectoryContent;
use super::error::Divergence;
use super::intervention::CallPoint;
use super::operation_call::OperationCall;
use super::operation_process::OperationProcess;
use super::operation_run::OperationRun;
use super::volatile_files::VolatileContents;
use crate::syscalls::file_call::{Effect, FileCall};
use crate::syscalls::file_status::Identity;
use clarity_chaos_disk::Snapshot;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

/// A call of a run, with its context.
type Call<'a> = (&'a CallContext, &'a FileCall);

/// The calls of an undisturbed run.
#[derive(Debug)]
pub(super) struct Baseline {
    calls: Vec<FileCall>,
    contexts: Vec<CallContext>,
    /// The files before the first call.
    files: BTreeMap<Identity, PathBuf>,
    /// The content after calls, by index.
    contents: BTreeMap<usize, DirectoryContent>,
    /// Whether one thread made all calls.
    is_sequential: bool,
    /// The names that are not drawn, as far as it is known from other runs.
    fixed: RefCell<Rc<FixedNames>>,
    /// The identities of the calls, one after the other, for the names in `fixed`.
    identities: RefCell<Vec<(Precision, Rc<[CallIdentity]>)>>,
    /// The contents of mapped volatile files.
    pub(super) volatile: VolatileContents,
}

impl Baseline {
    pub(super) fn new(run: OperationRun) -> Self {
        let is_same = |pair: &[(CallContext, FileCall)]| pair[0].0.caller == pair[1].0.caller;
        let is_sequential = run.calls.windows(2).all(is_same);
        let (contexts, calls): (Vec<_>, Vec<_>) = run.calls.into_iter().unzip();
        Self {
            is_sequential,
            fixed: RefCell::new(Rc::new(names(&calls))),
            identities: RefCell::default(),
            files: run.files,
            contents: run.contents,
            volatile: run.volatile,
            calls,
            contexts,
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

    /// Returns the paths of the files before the first call.
    pub(super) fn files(&self) -> &BTreeMap<Identity, PathBuf> {
        &self.files
    }

    /// Returns the recorded contents after calls, by index.
    pub(super) fn contents(&self) -> &BTreeMap<usize, DirectoryContent> {
        &self.contents
    }

    /// Gives the index of the first unsupported call, and the reason.
    pub(super) fn unsupported(&self) -> Option<(usize, &'static str)> {
        let mut calls = self.calls.iter().enumerate();
        calls.find_map(|(index, call)| Some((index, call.unsupported()?)))
    }

    pub(super) fn calls(&self) -> &[FileCall] {
        &self.calls
    }

    /// Names the process that made the call with this index. Gives none if the operation's own
    /// process made all calls.
    pub(super) fn process(&self, index: usize) -> Option<OperationProcess> {
        let mut processes = self.contexts.iter().map(|context| &context.process);
        let has_several = !processes.all(OperationProcess::is_operation);
        has_several.then(|| self.contexts[index].process)
    }

    /// Whether the call with this index can transfer a part of its bytes.
    pub(super) fn is_divisible(&self, index: usize) -> bool {
        self.contexts[index].divisible >= 2
    }

    /// Gives the [`CallPoint`] that identifies a call in other runs. `index` is the call's index in
    /// the baseline.
    pub(super) fn point(&self, index: usize, precision: Precision) -> CallPoint {
        CallPoint {
            identity: self.identities(precision)[index].clone(),
            precision,
            fixed: Rc::clone(&self.fixed.borrow()),
        }
    }

    /// Learns from another undisturbed run which names are drawn: as many names of this run are
    /// missing there as there are new ones. Names in `before` are never drawn.
    pub(super) fn learn(&self, run: &OperationRun, before: &Snapshot) {
        let with_existing = |mut names: FixedNames| {
            names.extend(before.entries().flat_map(|(path, _)| components(path)));
            names
        };
        let own = with_existing(names(&self.calls));
        let others = with_existing(names(run.calls.iter().map(|(_, call)| call)));
        let missing = own.difference(&others).count();
        // A run that ended early lacks names that are not drawn.
        if missing == 0 || missing != others.difference(&own).count() {
            return;
        }
        let fixed = self.fixed.borrow().intersection(&others).cloned().collect();
        self.fixed.replace(Rc::new(with_existing(fixed)));
        self.identities.take();
    }

    /// Whether the call with the index `reached` of `run` is the call with this index.
    ///
    /// The identities of both are equal. If the baseline has several such calls, the thread must
    /// also have come to the call in the same way: equal calls can come from two places in the
    /// code. Equal calls of several threads count as the same call.
    pub(super) fn is_matched(
        &self,
        run: &OperationRun,
        reached: usize,
        index: usize,
        precision: Precision,
    ) -> bool {
        let victim = run.victim;
        if victim.is_some_and(|victim| !victim.is_same(&self.contexts[index].process)) {
            return false;
        }
        let identities = self.identities(Precision::AnyThread);
        let wanted = &identities[index].signature;
        let alike = identities.iter().filter(|one| one.signature == *wanted);
        if alike.count() == 1 {
            return true;
        }
        let own: Vec<Call<'_>> = self.contexts.iter().zip(&self.calls).collect();
        let other: Vec<Call<'_>> = run.calls.iter().map(|(one, call)| (one, call)).collect();
        let (own_way, other_way) = (way(&own, index), way(&other, reached));
        match precision {
            Precision::ByThread => {
                let made = self.identify_all(run);
                let own = own_way.iter().map(|at| &identities[*at].signature);
                own.eq(other_way.iter().map(|at| &made[*at].signature))
            }
            // The order of a map changes the files of the calls, but not their names.
            Precision::AnyThread if self.is_sequential => {
                let own = own_way.iter().map(|at| kind(own[*at], own[index]));
                own.eq(other_way.iter().map(|at| kind(other[*at], other[reached])))
            }
            Precision::AnyThread => true,
        }
    }

    /// Describes runs that did not make the call with this index.
    pub(super) fn divergence(
        &self,
        index: usize,
        runs: usize,
        last: Option<&OperationRun>,
    ) -> Divergence {
        let own = self.identities(Precision::AnyThread);
        let own: HashSet<&CallIdentity> = own.iter().collect();
        let found = last.and_then(|run| {
            let identities = self.identify_all(run);
            let mut made = run.calls.iter().zip(&identities);
            let ((context, call), _) = made.find(|(_, identity)| !own.contains(identity))?;
            // The run may not have recorded the bytes.
            Some(call.describe(context.details.length.unwrap_or(0)))
        });
        Divergence {
            call: self.describe(index),
            runs,
            last_calls: last.map_or(0, |run| run.calls.len()),
            found,
            came_another_way: last.is_some_and(|run| run.reached.is_some()),
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
            process: self.process(index),
            location: None,
            callers: Vec::new(),
        }
    }

    fn identities(&self, precision: Precision) -> Rc<[CallIdentity]> {
        let mut known = self.identities.borrow_mut();
        if let Some((_, identities)) = known.iter().find(|(of, _)| *of == precision) {
            return Rc::clone(identities);
        }
        let mut identifier = CallIdentifier::new(precision, Rc::clone(&self.fixed.borrow()));
        let calls = self.contexts.iter().zip(&self.calls);
        let identities: Rc<[CallIdentity]> = calls
            .map(|(context, call)| identifier.identify(context, call))
            .collect();
        known.push((precision, Rc::clone(&identities)));
        identities
    }

    /// Identifies the calls of another run, by any thread.
    fn identify_all(&self, run: &OperationRun) -> Vec<CallIdentity> {
        let fixed = Rc::clone(&self.fixed.borrow());
        let mut identifier = CallIdentifier::new(Precision::AnyThread, fixed);
        let calls = run.calls.iter();
        calls
            .map(|(context, call)| identifier.identify(context, call))
            .collect()
    }
}

/// Gives the indices of the calls that led a thread to the call with this index, and that index.
fn way(calls: &[Call<'_>], index: usize) -> Vec<usize> {
    let is_by_same = |at: &usize| calls[*at].0.caller == calls[index].0.caller;
    (0..=index).filter(is_by_same).collect()
}

/// Gives the name of a call, and whether it concerns the same file as another call.
fn kind((_, call): Call<'_>, (_, other): Call<'_>) -> (&'static str, bool) {
    (call.name, call.effect.path() == other.effect.path())
}
