//! A fault that gives a wrong address for a name.

use super::NameTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{NameCondition, Resolver};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Makes a [`Resolver`] lie: lookups of a name give another address, as after an attack, or with a
/// stale cache.
#[derive(Clone, Debug)]
pub struct DnsSpoof {
    target: NameTarget,
    address: IpAddr,
}

/// The plan of a [`DnsSpoof`] fault. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DnsSpoofPlan {
    /// The wrong address. The name has no other address.
    pub address: IpAddr,
}

impl DnsSpoof {
    /// Gives `address` as the only address of this name. The resolver need not know the name.
    pub fn new(resolver: &Resolver, name: &str, address: impl Into<IpAddr>) -> Self {
        Self {
            target: NameTarget::of(resolver, Some(name)),
            address: address.into(),
        }
    }
}

impl Fault for DnsSpoof {
    type Plan = DnsSpoofPlan;
    const KIND: &'static str = "dns_spoof";

    fn describe(plan: &DnsSpoofPlan, target: &str) -> String {
        format!("lookups of {target} answered with {}", plan.address)
    }

    fn target(&self) -> String {
        self.target.to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<DnsSpoofPlan, FaultError> {
        Ok(DnsSpoofPlan {
            address: self.address,
        })
    }

    fn apply(&self, plan: &DnsSpoofPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        Ok(self.target.put(NameCondition::Spoof {
            name: self.target.name(),
            address: plan.address,
        }))
    }
}
