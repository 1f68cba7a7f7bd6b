//! A fault that makes lookups of names fail.

use super::NameTarget;
use crate::test::fault::{Fault, FaultError, Injection, Undo};
use crate::test::network::{DnsError, NameCondition, Resolver};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Makes a [`Resolver`] fail, by default with a server failure (`SERVFAIL`) for all names.
#[derive(Clone, Debug)]
pub struct DnsFailure {
    target: NameTarget,
    error: DnsError,
}

/// The plan of a [`DnsFailure`] fault. Nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DnsFailurePlan {
    /// The way in which the resolver fails.
    pub error: DnsError,
}

impl DnsFailure {
    /// Makes lookups of all names fail.
    pub fn new(resolver: &Resolver) -> Self {
        Self {
            target: NameTarget::of(resolver, None),
            error: DnsError::ServerFailure,
        }
    }

    /// Makes only lookups of this name fail.
    #[must_use]
    pub fn of_name(self, name: &str) -> Self {
        Self {
            target: self.target.narrowed(name),
            ..self
        }
    }

    /// Fails in this way.
    #[must_use]
    pub fn with_error(self, error: DnsError) -> Self {
        Self { error, ..self }
    }
}

impl Fault for DnsFailure {
    type Plan = DnsFailurePlan;
    const KIND: &'static str = "dns_failure";

    fn describe(plan: &DnsFailurePlan, target: &str) -> String {
        match plan.error {
            DnsError::ServerFailure => format!("lookups of {target} failed"),
            DnsError::NoSuchName => format!("lookups of {target} not found"),
            DnsError::Refused => format!("lookups of {target} refused"),
            DnsError::Silence => format!("lookups of {target} not answered"),
        }
    }

    fn target(&self) -> String {
        self.target.to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<DnsFailurePlan, FaultError> {
        Ok(DnsFailurePlan { error: self.error })
    }

    fn apply(&self, plan: &DnsFailurePlan, _injection: &Injection) -> Result<Undo, FaultError> {
        Ok(self.target.put(NameCondition::Failure {
            name: self.target.name(),
            error: plan.error,
        }))
    }
}
