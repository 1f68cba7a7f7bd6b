//! No walls: systems other than Linux.

use crate::data::case::WorkerDir;
use crate::data::confinement::Confinement;
use clarity_chaos_record::Sandbox;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const CONTAINMENT: Result<&str, &str> =
    Err("this system has no subreaper: a daemon of a test can outlive it");

const NOT_HERE: &str = "the sandbox is made of parts of Linux";

/// Where a process finds itself after [`enclose`].
pub(crate) enum Enclosed {
    /// Where it was, as the supervisor.
    Inside(Box<Inside>),
    /// Never here: no process is made for the walls.
    #[expect(dead_code, reason = "made on Linux")]
    Outside(i32),
}

/// How it is there.
pub(crate) struct Inside {
    pub(crate) sandbox: Sandbox,
    pub(crate) private: Vec<PathBuf>,
    pub(crate) walled: bool,
}

pub(crate) fn enclose(confinement: &Confinement, _slot: &Path) -> io::Result<Enclosed> {
    let sandbox = match confinement {
        Confinement::Open => super::open(),
        Confinement::Closed { .. } => Sandbox::without(NOT_HERE, CONTAINMENT),
    };
    Ok(Enclosed::Inside(Box::new(Inside {
        sandbox,
        private: Vec::new(),
        walled: false,
    })))
}

/// The narrower walls of a test: none.
#[derive(Debug)]
pub(crate) struct TestRules;

impl TestRules {
    pub(crate) fn enter(self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn prepare_test(_slot: &WorkerDir) -> io::Result<TestRules> {
    Ok(TestRules)
}
