//! The paths of a run's set-up that tests in the sandbox can reach.

use crate::data::service::{RunServices, ServiceAddress};
use std::path::PathBuf;

/// The paths of the run's set-up that tests in the sandbox need.
#[derive(Debug)]
pub(super) struct ExposedPaths {
    /// The directory of the set-up, which tests can read.
    pub(super) dir: Option<PathBuf>,
    /// The sockets to which tests can connect.
    pub(super) sockets: Vec<PathBuf>,
}

impl ExposedPaths {
    /// Gives the paths of a run.
    pub(super) fn of(run: &RunServices) -> Self {
        Self {
            dir: run.dir.clone(),
            sockets: unix_sockets(run.services.iter().map(|service| &service.address)),
        }
    }

    /// Gives all paths.
    pub(super) fn all(&self) -> impl Iterator<Item = PathBuf> {
        self.sockets.iter().chain(&self.dir).cloned()
    }
}

/// Gives the paths of the Unix sockets among these addresses.
pub(super) fn unix_sockets<'a>(
    addresses: impl Iterator<Item = &'a ServiceAddress>,
) -> Vec<PathBuf> {
    let paths = addresses.filter_map(|address| match address {
        ServiceAddress::Unix(path) => Some(path.clone()),
        ServiceAddress::Tcp(_) => None,
    });
    paths.collect()
}
