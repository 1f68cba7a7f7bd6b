//! No more descriptors: a leak elsewhere in the program, or more connections than anybody thought of.

use super::limit::{Limited, lower};
use super::{Fault, FaultError, Undo};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::Path;

/// Leaves the test's process no more than a few free descriptors: opening one more fails with `EMFILE`, be it a file, a socket or a pipe. What is
/// closed meanwhile is free again. Programs that it starts inherit the limit.
///
/// On Linux alone, by lowering `RLIMIT_NOFILE` ([getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)) to where so many numbers are
/// free below it. Other faults go on working meanwhile: for what they do themselves the limit is lifted for a moment.
#[derive(Clone, Debug)]
pub struct Descriptors {
    left: RangeInclusive<u64>,
}

/// How many are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescriptorsPlan {
    /// How many more can be opened.
    pub left: u64,
}

impl Descriptors {
    /// Leaves exactly so many.
    #[must_use]
    pub fn left(count: u64) -> Self {
        Self {
            left: count..=count,
        }
    }

    /// Leaves any number up to `most`, each with the same probability.
    #[must_use]
    pub fn at_most_left(most: u64) -> Self {
        Self { left: 0..=most }
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

    fn apply(&self, plan: &DescriptorsPlan, _scratch: &Path) -> Result<Undo, FaultError> {
        lower(Limited::Descriptors, limit_that_leaves(plan.left)?)
    }
}

/// The first number with so many free ones below it.
#[cfg(target_os = "linux")]
fn limit_that_leaves(left: u64) -> Result<u64, FaultError> {
    let now = Limited::Descriptors.limit().unwrap_or(u64::MAX);
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
