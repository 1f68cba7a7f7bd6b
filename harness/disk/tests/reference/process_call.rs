//! Calls of several processes, each with handles of its own.

use super::{Disk, Op};

/// A call of the process with this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessCall {
    pub(crate) process: usize,
    pub(crate) op: Op,
}

/// The call of a program's only process.
impl From<Op> for ProcessCall {
    fn from(op: Op) -> Self {
        Self { process: 0, op }
    }
}

impl Disk {
    pub(super) fn call_of_process(&mut self, call: &ProcessCall) {
        self.process = call.process;
        self.call(&call.op);
    }

    pub(super) fn add_handle(&mut self, file: Option<usize>) {
        self.handles.entry(self.process).or_default().push(file);
    }

    /// Calls with the handle's file, unless the handle is dead.
    pub(super) fn on_file(&mut self, handle: usize, call: impl FnOnce(&mut Disk, usize)) {
        let handles = self.handles.get(&self.process);
        if let Some(Some(file)) = handles.and_then(|handles| handles.get(handle)).copied() {
            call(self, file);
        }
    }
}
