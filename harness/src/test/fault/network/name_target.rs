//! The names whose lookups a fault disturbs.

use crate::test::fault::{Undo, UndoOutcome};
use crate::test::network::{NameCondition, NameServer, Resolver, normal_name};
use std::fmt;
use std::sync::Arc;

/// One name or all names, and the resolver that is asked for them.
#[derive(Clone)]
pub(super) struct NameTarget {
    name: Option<String>,
    server: Arc<NameServer>,
}

impl NameTarget {
    /// Returns the target of a name, or of all names.
    pub(super) fn of(resolver: &Resolver, name: Option<&str>) -> Self {
        Self {
            name: name.map(normal_name),
            server: resolver.server(),
        }
    }

    /// Narrows the target to a name.
    pub(super) fn narrowed(self, name: &str) -> Self {
        Self {
            name: Some(normal_name(name)),
            ..self
        }
    }

    pub(super) fn name(&self) -> Option<String> {
        self.name.clone()
    }

    /// Puts the condition on the resolver until the fault is undone.
    pub(super) fn put(&self, condition: NameCondition) -> Undo {
        let server = Arc::clone(&self.server);
        let id = server.put(condition);
        Undo::new(move || {
            server.remove(id);
            Ok(UndoOutcome::Restored)
        })
    }
}

impl fmt::Display for NameTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or("all names"))
    }
}

impl fmt::Debug for NameTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
