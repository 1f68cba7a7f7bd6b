//! The sandbox on systems other than Linux. These systems have no confinement.

use crate::data::case::Case;
use crate::data::confinement::Confinement;
use crate::data::service::{RunServices, VisibleServices};
use clarity_chaos_record::Sandbox;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const CONTAINMENT: Result<&str, &str> =
    Err("this system has no subreaper: a daemon of a test can outlive it");

const UNSUPPORTED: &str = "the sandbox needs Linux";

/// The role of this process after [`confine`].
pub(crate) enum Confined {
    /// This process is the supervisor.
    Inside(Box<Inside>),
    /// This process is the supervisor's parent. Occurs only on Linux: on other systems, [`confine`]
    /// starts no process.
    #[expect(dead_code, reason = "made on Linux")]
    Outside(i32),
}

/// The supervisor's confinement.
pub(crate) struct Inside {
    pub(crate) sandbox: Sandbox,
    pub(crate) services: VisibleServices,
    pub(crate) private: Vec<PathBuf>,
    pub(crate) has_outer_process: bool,
}

/// Confines nothing. Reports the confinement as missing if `confinement` requests it.
pub(crate) fn confine(
    confinement: &Confinement,
    _slot: &Path,
    run: &RunServices,
) -> io::Result<Confined> {
    let sandbox = match confinement {
        Confinement::Open => super::unconfined(),
        Confinement::Closed { .. } => Sandbox::without(UNSUPPORTED, CONTAINMENT),
    };
    Ok(Confined::Inside(Box::new(Inside {
        sandbox,
        services: run.to_visible(),
        private: Vec::new(),
        has_outer_process: false,
    })))
}

/// The additional rules of a test. On this system, there are none.
#[derive(Debug)]
pub(crate) struct TestRules;

impl TestRules {
    pub(crate) fn enter(self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn prepare_test(_case: &Case) -> io::Result<TestRules> {
    Ok(TestRules)
}
