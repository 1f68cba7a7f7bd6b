//! The services of a run: the addresses at which tests reach the programs of the run's set-up.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The address of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ServiceAddress {
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A service at its address outside of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) address: ServiceAddress,
}

/// The services and values that the set-up of a run gives to the tests. Empty without a set-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunServices {
    /// The directory of the set-up, which tests can read.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) services: Vec<Service>,
    pub(crate) shared: BTreeMap<String, String>,
}

/// The services and values of a run, as the tests of one worker see them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VisibleServices {
    /// The address of each service, or the reason why these tests cannot reach the service.
    pub(crate) services: BTreeMap<String, Result<ServiceAddress, String>>,
    pub(crate) shared: BTreeMap<String, String>,
}

impl RunServices {
    /// Returns the services as tests outside of the sandbox see them.
    pub(crate) fn to_visible(&self) -> VisibleServices {
        let services = self.services.iter().cloned();
        VisibleServices {
            services: services
                .map(|service| (service.name, Ok(service.address)))
                .collect(),
            shared: self.shared.clone(),
        }
    }
}

impl fmt::Display for ServiceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
