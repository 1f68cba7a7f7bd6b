//! One of several machines that share a run.

use crate::seed::Seed;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The value of `--shard`: the share `index` of `count`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 1 to `count`.
    pub index: u64,
    /// How many shares there are, at least 1.
    pub count: u64,
}

impl Shard {
    /// Whether a test of an ordinary run is in this share. Each is in exactly one, whatever other tests there are.
    pub fn holds_test(self, name: &str) -> bool {
        self.holds("shard of a test", name)
    }

    /// Whether this case of a sweep is in this share: one test is spread over all of them.
    pub fn holds_case(self, name: &str, seed: Seed) -> bool {
        self.holds("shard of a case", &format!("{name} {seed}"))
    }

    fn holds(self, kind: &str, label: &str) -> bool {
        Seed::new(0).child(kind, label).get() % self.count == self.index - 1
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
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index @ 1.., count)) if index <= count => Ok(Self { index, count }),
            _ => Err(format!(
                "expected the number of this shard, from 1, and how many there are, such as 1/4, found `{text}`"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_and_every_case_is_in_exactly_one_share() {
        let shards: Vec<Shard> = (1..=3).map(|index| Shard { index, count: 3 }).collect();
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
    }
}
