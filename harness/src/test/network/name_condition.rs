//! The faults in effect on a name server.

use super::dns_message::{Query, ResponseCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The way in which a name server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DnsError {
    /// The server answers that it failed (`SERVFAIL`).
    ServerFailure,
    /// The server answers that the name does not exist (`NXDOMAIN`).
    NoSuchName,
    /// The server answers that it refuses the query (`REFUSED`).
    Refused,
    /// The server does not answer. Clients ask again, and fail after their timeout.
    Silence,
}

/// The names that a fault affects: one name, or all names.
pub(crate) type AffectedName = Option<String>;

/// A fault in effect on a name server.
#[derive(Clone, Debug)]
pub(crate) enum NameCondition {
    Failure { name: AffectedName, error: DnsError },
    Latency { name: AffectedName, delay: Duration },
    Spoof { name: AffectedName, address: IpAddr },
}

impl NameCondition {
    fn affects(&self, asked: &str) -> bool {
        let (Self::Failure { name, .. } | Self::Latency { name, .. } | Self::Spoof { name, .. }) =
            self;
        name.as_deref().is_none_or(|name| name == asked)
    }
}

/// The names that a name server knows, and the faults in effect.
#[derive(Debug, Default)]
pub(super) struct Zone {
    pub(super) addresses: BTreeMap<String, Vec<IpAddr>>,
    pub(super) conditions: Vec<(u64, NameCondition)>,
}

impl Zone {
    /// The time at which the answer to a query is due, if the query arrived at this time. A fault
    /// delays the queries that arrived during the fault, which `number` of conditions preceded.
    pub(super) fn due(&self, query: &Query, arrived: Instant, number: u64) -> Instant {
        let mut due = arrived;
        for (id, condition) in &self.conditions {
            if let NameCondition::Latency { delay, .. } = condition
                && *id <= number
                && condition.affects(&query.name)
            {
                due += *delay;
            }
        }
        due
    }

    /// Returns the answer to a query. `None` if the server does not answer.
    pub(super) fn answer(&self, query: &Query) -> Option<Vec<u8>> {
        if !query.is_standard() {
            return Some(query.answer(ResponseCode::NotImplemented, &[]));
        }
        let affecting = self.conditions.iter().rev().map(|(_, condition)| condition);
        let mut affecting = affecting.filter(|condition| condition.affects(&query.name));
        // The latest fault wins.
        let wins = |condition: &&NameCondition| !matches!(condition, NameCondition::Latency { .. });
        match affecting.find(wins) {
            Some(NameCondition::Failure { error, .. }) => {
                let code = match error {
                    DnsError::ServerFailure => ResponseCode::ServerFailure,
                    DnsError::NoSuchName => ResponseCode::NameError,
                    DnsError::Refused => ResponseCode::Refused,
                    DnsError::Silence => return None,
                };
                Some(query.answer(code, &[]))
            }
            Some(NameCondition::Spoof { address, .. }) => {
                Some(query.answer(ResponseCode::NoError, &[*address]))
            }
            Some(NameCondition::Latency { .. }) | None => {
                Some(match self.addresses.get(&query.name) {
                    Some(addresses) => query.answer(ResponseCode::NoError, addresses),
                    None => query.answer(ResponseCode::NameError, &[]),
                })
            }
        }
    }
}
