//! A shard: the share of a run that one of several machines executes.

use crate::seed::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The value of `--shard`: share number `index` of `count` shares. The first share has number 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ShardFields")]
pub struct Shard {
    index: u64,
    count: u64,
}

/// The unchecked fields of a shard in JSON.
#[derive(Deserialize)]
struct ShardFields {
    index: u64,
    count: u64,
}

impl Shard {
    /// Creates share number `index` of `count` shares. Returns `None` unless `index` is from 1 to
    /// `count`.
    #[must_use]
    pub fn new(index: u64, count: u64) -> Option<Self> {
        (1..=count)
            .contains(&index)
            .then_some(Self { index, count })
    }

    /// Returns the number of this share, from 1 to [`Shard::count`].
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns the number of shares, at least 1.
    #[must_use]
    pub fn count(self) -> u64 {
        self.count
    }

    /// Whether a test belongs to this share, if the run is not a sweep. Each test belongs to
    /// exactly one share, independently of other tests.
    #[must_use]
    pub fn holds_test(self, name: &str) -> bool {
        self.holds("shard of a test", name)
    }

    /// Whether a case of a sweep belongs to this share. The cases of one test are spread over all
    /// shares.
    #[must_use]
    pub fn holds_case(self, name: &str, seed: Seed) -> bool {
        self.holds("shard of a case", &format!("{name} {seed}"))
    }

    fn holds(self, kind: &str, label: &str) -> bool {
        Seed::new(0).child(kind, label).get() % self.count == self.index - 1
    }
}

impl TryFrom<ShardFields> for Shard {
    type Error = String;

    fn try_from(ShardFields { index, count }: ShardFields) -> Result<Self, String> {
        Self::new(index, count)
            .ok_or_else(|| format!("expected a shard from 1 to {count}, found {index}"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shard = text
            .split_once('/')
            .and_then(|(index, count)| Self::new(index.parse().ok()?, count.parse().ok()?));
        shard.ok_or_else(|| {
            format!(
                "expected the number of this shard, from 1, and the number of shards, such as 1/4, found `{text}`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_and_every_case_is_in_exactly_one_share() {
        let shards: Vec<Shard> = (1..=3).filter_map(|index| Shard::new(index, 3)).collect();
        let mut sizes = [0; 3];
        for number in 0..300 {
            let name = format!("test_{number}");
            assert_eq!(shards.iter().filter(|s| s.holds_test(&name)).count(), 1);
            let of_case: Vec<bool> = shards
                .iter()
                .map(|shard| shard.holds_case("one_test", Seed::new(number)))
                .collect();
            assert_eq!(of_case.iter().filter(|holds| **holds).count(), 1);
            sizes[of_case.iter().position(|holds| *holds).unwrap()] += 1;
        }
        assert!(sizes.iter().all(|size| *size > 60), "{sizes:?}");
    }

    #[test]
    fn shards_are_numbered_from_1() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for wrong in ["0/3", "4/3", "1/0", "1", "/", "a/b", "1/2/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong:?} was accepted");
        }
        for wrong in [r#"{"index":0,"count":3}"#, r#"{"index":1,"count":0}"#] {
            let read = serde_json::from_str::<Shard>(wrong);
            assert!(read.is_err(), "{wrong} was accepted");
        }
    }
}
