//! Tells which call of one run is which call of another run.

use super::callers::Caller;
use super::operation_process::OperationProcess;
use crate::syscalls::call_details::CallDetails;
use crate::syscalls::file_call::{Effect, FileCall};
use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::rc::Rc;

/// The facts about a call of one run, besides its name and effect.
#[derive(Clone, Debug)]
pub(super) struct CallContext {
    pub(super) caller: Caller,
    /// The process of the caller, with the name of its program at the call.
    pub(super) process: OperationProcess,
    pub(super) details: CallDetails,
    /// The number of bytes that the call transfers if nothing shortens it. 0 for a call that cannot
    /// be split, and in runs that look at no such calls.
    pub(super) divisible: u64,
}

/// The names of files that each run uses. A run draws all other names.
pub(super) type FixedNames = BTreeSet<OsString>;

/// The precision with which calls are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// The same thread makes the call. Drawn names are numbered for each thread, in the order of
    /// their appearance.
    ByThread,
    /// Any thread makes the call. All drawn names are equal.
    AnyThread,
}

/// A call, as other runs can make it again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallIdentity {
    pub(super) signature: CallSignature,
    /// The number of earlier calls with the same signature.
    occurrence: usize,
}

/// The properties that equal calls of two runs share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallSignature {
    caller: Option<Caller>,
    name: &'static str,
    /// The path of the file, and the second path of a rename or link.
    paths: [Vec<Name>; 2],
    details: CallDetails,
}

/// A component of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Fixed(OsString),
    /// The thread that used the name first, and the number of the name among those of this thread.
    Drawn(Caller, usize),
    AnyDrawn,
}

/// Identifies the calls of one run, in their order.
#[derive(Clone, Debug)]
pub(super) struct CallIdentifier {
    precision: Precision,
    fixed: Rc<FixedNames>,
    drawn: HashMap<OsString, Name>,
    /// The number of drawn names that each thread has used first.
    numbers: HashMap<Caller, usize>,
    occurrences: HashMap<CallSignature, usize>,
}

impl CallIdentifier {
    pub(super) fn new(precision: Precision, fixed: Rc<FixedNames>) -> Self {
        Self {
            precision,
            fixed,
            drawn: HashMap::new(),
            numbers: HashMap::new(),
            occurrences: HashMap::new(),
        }
    }

    /// Identifies the next call of the run.
    pub(super) fn identify(&mut self, context: &CallContext, call: &FileCall) -> CallIdentity {
        let caller = &context.caller;
        let paths = paths(&call.effect).map(|path| {
            let components = path.components().map(|part| part.as_os_str());
            components.map(|name| self.name(caller, name)).collect()
        });
        let signature = CallSignature {
            caller: match self.precision {
                Precision::ByThread => Some(caller.clone()),
                Precision::AnyThread => None,
            },
            name: call.name,
            paths,
            details: context.details,
        };
        let seen = self.occurrences.entry(signature.clone()).or_insert(0);
        *seen += 1;
        CallIdentity {
            signature,
            occurrence: *seen - 1,
        }
    }

    fn name(&mut self, caller: &Caller, name: &OsStr) -> Name {
        if self.fixed.contains(name) {
            return Name::Fixed(name.to_owned());
        }
        if self.precision == Precision::AnyThread {
            return Name::AnyDrawn;
        }
        if let Some(known) = self.drawn.get(name) {
            return known.clone();
        }
        let number = self.numbers.entry(caller.clone()).or_insert(0);
        *number += 1;
        let drawn = Name::Drawn(caller.clone(), *number);
        self.drawn.insert(name.to_owned(), drawn.clone());
        drawn
    }
}

/// Gives the names of all files in the paths of these calls.
pub(super) fn names<'a>(calls: impl IntoIterator<Item = &'a FileCall>) -> FixedNames {
    let paths = calls.into_iter().flat_map(|call| paths(&call.effect));
    paths.flat_map(components).collect()
}

/// Gives the components of a path.
pub(super) fn components(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().map(|part| part.as_os_str().to_owned())
}

/// Gives the path of a call, and the second path of a rename or link.
fn paths(effect: &Effect) -> [&Path; 2] {
    let second = match effect {
        Effect::Rename { to, .. } | Effect::Link { to, .. } | Effect::Symlink { to, .. } => to,
        _ => Path::new(""),
    };
    [effect.path(), second]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn unlink(name: &str) -> FileCall {
        let path = PathBuf::from("folder").join(name);
        FileCall::new("unlink", Effect::Unlink { path }, None)
    }

    /// Identifies removals of these files by these threads.
    fn identify(precision: Precision, calls: &[(usize, &str)]) -> Vec<CallIdentity> {
        let fixed = Rc::new(["folder", "fixed"].map(OsString::from).into());
        let mut identifier = CallIdentifier::new(precision, fixed);
        let identified = calls.iter().map(|(thread, name)| {
            let context = CallContext {
                caller: Caller::numbered(*thread),
                process: OperationProcess::OPERATION,
                details: CallDetails::default(),
                divisible: 0,
            };
            identifier.identify(&context, &unlink(name))
        });
        identified.collect()
    }

    #[test]
    fn drawn_names_are_numbered_for_each_thread() {
        let first = identify(Precision::ByThread, &[(1, "x1"), (2, "x2"), (1, "x3")]);
        let second = identify(Precision::ByThread, &[(2, "y1"), (1, "y2"), (1, "y3")]);
        assert_eq!(
            first,
            [&second[1], &second[0], &second[2]].map(Clone::clone)
        );
        // Another thread may use a name later, which stays the same name.
        let shared = identify(Precision::ByThread, &[(1, "x"), (2, "x")]);
        assert_ne!(shared[0], shared[1]);
        let by_two = identify(Precision::ByThread, &[(1, "x"), (2, "y")]);
        assert_ne!(shared[1], by_two[1]);
    }

    #[test]
    fn drawn_names_are_equal_for_any_thread() {
        let first = identify(Precision::AnyThread, &[(1, "x1"), (2, "fixed"), (2, "x2")]);
        let second = identify(Precision::AnyThread, &[(2, "fixed"), (2, "y1"), (1, "y2")]);
        assert_eq!(
            first,
            [&second[1], &second[0], &second[2]].map(Clone::clone)
        );
    }

    #[test]
    fn equal_calls_match_by_their_order() {
        let identified = identify(Precision::ByThread, &[(1, "fixed"), (1, "fixed")]);
        assert_eq!(identified[0].signature, identified[1].signature);
        assert_ne!(identified[0], identified[1]);
    }
}
