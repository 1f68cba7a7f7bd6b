//! Gives a test the services and values of the run's set-up.

use super::Context;
use crate::data::service::ServiceAddress;
use crate::test::outcome::Result;
use std::net::SocketAddr;
use std::path::PathBuf;

impl Context {
    /// Returns the address of a TCP service that the run's set-up serves.
    ///
    /// In the sandbox, the address is one of the test's own loopback. The harness forwards each
    /// connection to the service.
    ///
    /// # Errors
    ///
    /// When this test cannot reach the service: a test that returns this error is skipped. Also
    /// when the set-up serves no TCP service with this name.
    pub fn service_addr(&self, name: &str) -> Result<SocketAddr> {
        match self.service(name)? {
            ServiceAddress::Tcp(address) => Ok(address),
            ServiceAddress::Unix(path) => Err(format!(
                "the service `{name}` is the Unix socket {}: call `service_path`",
                path.display()
            )
            .into()),
        }
    }

    /// Returns the path of a Unix socket that the run's set-up serves. The path is the same in and
    /// outside of the sandbox.
    ///
    /// # Errors
    ///
    /// When the set-up serves no Unix socket with this name.
    pub fn service_path(&self, name: &str) -> Result<PathBuf> {
        match self.service(name)? {
            ServiceAddress::Unix(path) => Ok(path),
            ServiceAddress::Tcp(address) => Err(format!(
                "the service `{name}` has the address {address}: call `service_addr`"
            )
            .into()),
        }
    }

    /// Returns a value that the run's set-up shares.
    ///
    /// # Errors
    ///
    /// When the set-up shares no value with this key.
    pub fn shared(&self, key: &str) -> Result<String> {
        let shared = &self.inner.services.shared;
        let value = shared.get(key).cloned();
        value.ok_or_else(|| unknown("shares no value with the key", key, shared.keys()).into())
    }

    fn service(&self, name: &str) -> Result<ServiceAddress> {
        let services = &self.inner.services.services;
        match services.get(name) {
            Some(Ok(address)) => Ok(address.clone()),
            Some(Err(reason)) => {
                let skipped = self.skip(format!("the service `{name}` is out of reach: {reason}"));
                Err(skipped.expect_err("`skip` always returns an error").into())
            }
            None => Err(unknown("serves no service called", name, services.keys()).into()),
        }
    }
}

fn unknown<'a>(missing: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<String> = known.map(|one| format!("`{one}`")).collect();
    let known = match known.is_empty() {
        true => "there is none".to_owned(),
        false => format!("known: {}", known.join(", ")),
    };
    format!("the set-up of the run {missing} `{name}` ({known})")
}
