//! A fault that exhausts descriptors, like a leak of descriptors or too many connections.

use super::limit::{LimitedResource, lower};
use super::{Fault, FaultError, Injection, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Limits the number of descriptors that the test's process can still open. Beyond this number, an
/// attempt to open a file, socket or pipe fails with `EMFILE`. A descriptor that the process closes
/// is free again, if the descriptor's number is below the limit. Programs that the process starts
/// inherit the limit.
///
/// On Linux only. The fault lowers `RLIMIT_NOFILE`
/// ([getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)). Below the lowered
/// limit, exactly the requested number of descriptors remains free. Other faults still work, since
/// the limit is lifted while they are injected or undone.
#[derive(Clone, Debug)]
pub struct Descriptors {
    left: RangeInclusive<u64>,
}

/// The plan of a [`Descriptors`] fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DescriptorsPlan {
    /// The number of descriptors that can still be opened.
    pub left: u64,
}

impl Descriptors {
    /// Leaves no free descriptor to the test's process.
    #[must_use]
    pub fn new() -> Self {
        Self { left: 0..=0 }
    }

    /// Leaves exactly `count` free descriptors.
    #[must_use]
    pub fn leaving(self, count: u64) -> Self {
        Self {
            left: count..=count,
        }
    }

    /// Leaves 0 to `most` free descriptors. Each count is drawn with the same probability.
    #[must_use]
    pub fn leaving_at_most(self, most: u64) -> Self {
        Self { left: 0..=most }
    }
}

impl Default for Descriptors {
    fn default() -> Self {
        Self::new()
    }
}

impl Fault for Descriptors {
    type Plan = DescriptorsPlan;
    const KIND: &'static str = "descriptors";

    fn describe(plan: &DescriptorsPlan, _target: &str) -> String {
        format!("{} descriptors left", plan.left)
    }

    fn target(&self) -> String {
        "process".to_owned()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<DescriptorsPlan, FaultError> {
        Ok(DescriptorsPlan {
            left: rng.random_range(self.left.clone()),
        })
    }

    fn apply(&self, plan: &DescriptorsPlan, _injection: &Injection) -> Result<Undo, FaultError> {
        lower(LimitedResource::Descriptors, limit_that_leaves(plan.left)?)
    }
}

/// Gives the lowest limit below which `left` descriptor numbers are free.
#[cfg(target_os = "linux")]
fn limit_that_leaves(left: u64) -> Result<u64, FaultError> {
    let now = LimitedResource::Descriptors.limit().unwrap_or(u64::MAX);
    let below = u16::try_from(now).unwrap_or(u16::MAX);
    let open = crate::os::descriptors::open_below(below).ok_or_else(|| {
        FaultError::unfit(
            "to learn which descriptors are open",
            "no answer of the system",
        )
    })?;
    let free = (0..u32::from(below)).filter(|number| open.binary_search(number).is_err());
    let index = usize::try_from(left).unwrap_or(usize::MAX);
    let found = free.clone().nth(index);
    found.map(u64::from).ok_or_else(|| {
        FaultError::unfit(
            format!("more than {left} free descriptors"),
            format!("{} below the limit of {now}", free.count()),
        )
    })
}

#[cfg(not(target_os = "linux"))]
fn limit_that_leaves(left: u64) -> Result<u64, FaultError> {
    Ok(left)
}
