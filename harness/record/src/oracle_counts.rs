//! Counts, for each oracle, the cases that reached the oracle and the cases in which it held.

use crate::oracle::{OracleId, OracleKind};
use crate::record::Record;
use crate::seen_oracle::SeenOracle;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The case counts of each oracle that at least one case has reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Count>", into = "Vec<Count>")]
pub struct OracleCounts {
    reached: BTreeMap<OracleId, CaseCounts>,
}

/// The number of cases that reached an oracle, and the number of cases in which the oracle held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CaseCounts {
    #[serde(rename = "reached_cases")]
    reached: u64,
    #[serde(rename = "held_cases")]
    held: u64,
}

/// An oracle with its counts, as an element of the JSON list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Count {
    #[serde(flatten)]
    oracle: OracleId,
    #[serde(flatten)]
    cases: CaseCounts,
}

/// The function paths of a binary's tests, split into tests that have run and tests that have not.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Exercised<'a> {
    /// The function paths of tests that have run.
    pub ran: BTreeSet<&'a str>,
    /// The function paths of tests that have not run.
    pub not_ran: BTreeSet<&'a str>,
}

impl OracleCounts {
    /// Adds the case of `record` to the counts of each oracle that the case has reached.
    pub fn add(&mut self, record: &Record) {
        for SeenOracle { oracle, held } in &record.oracles {
            let cases = self.reached.entry(oracle.clone()).or_default();
            cases.reached += 1;
            cases.held += u64::from(*held);
        }
    }

    /// Whether no case has reached any oracle.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reached.is_empty()
    }

    /// Adds the counts of another shard.
    pub fn merge(&mut self, other: Self) {
        for (oracle, theirs) in other.reached {
            let cases = self.reached.entry(oracle).or_default();
            cases.reached += theirs.reached;
            cases.held += theirs.held;
        }
    }

    /// Returns a line for each oracle of the catalogue that is due but unmet. An oracle is unmet if
    /// no case reached it. A `sometimes!` is also unmet if it never held.
    ///
    /// An oracle inside a test's function is due when that test has run. Every other oracle is due
    /// when all tests have run. Without tests, no oracle is due.
    #[must_use]
    pub fn unmet(&self, catalogue: &[OracleId], tests: &Exercised<'_>) -> Vec<String> {
        // An oracle outside the tests' functions is due after all tests: any test could reach it.
        let due = catalogue.iter().filter(|oracle| tests.make_due(oracle));
        due.filter_map(|oracle| {
            let cases = self.reached.get(oracle).copied().unwrap_or_default();
            match (oracle.kind, cases) {
                (_, CaseCounts { reached: 0, .. }) => Some(format!("never reached: {oracle}")),
                // A violated `always!` has already made its case fail, and needs no line.
                (OracleKind::Always | OracleKind::Reachable, _) => None,
                (OracleKind::Sometimes, CaseCounts { held: 0, reached }) => Some(format!(
                    "never held, though {reached} cases have reached it: {oracle}"
                )),
                (OracleKind::Sometimes, _) => None,
            }
        })
        .collect()
    }
}

impl Exercised<'_> {
    fn make_due(&self, oracle: &OracleId) -> bool {
        let function = oracle.function.as_str();
        let stands_in = |test: &str| {
            let rest = function.strip_prefix(test);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let all_ran = self.not_ran.is_empty() && !self.ran.is_empty();
        all_ran || self.ran.iter().any(|test| stands_in(test))
    }
}

impl From<Vec<Count>> for OracleCounts {
    fn from(counts: Vec<Count>) -> Self {
        let reached = counts.into_iter();
        Self {
            reached: reached.map(|count| (count.oracle, count.cases)).collect(),
        }
    }
}

impl From<OracleCounts> for Vec<Count> {
    fn from(counts: OracleCounts) -> Self {
        let reached = counts.reached.into_iter();
        reached
            .map(|(oracle, cases)| Count { oracle, cases })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oracle(kind: OracleKind, function: &str) -> OracleId {
        OracleId {
            kind,
            message: "m".to_owned(),
            function: function.to_owned(),
            file: "f.rs".to_owned(),
            line: 1,
        }
    }

    fn counts(oracle: &OracleId, reached: u64, held: u64) -> OracleCounts {
        OracleCounts {
            reached: BTreeMap::from([(oracle.clone(), CaseCounts { reached, held })]),
        }
    }

    #[test]
    fn oracle_is_due_with_its_test_or_with_all_tests() {
        let of_test = oracle(OracleKind::Reachable, "c::a");
        let of_other = oracle(OracleKind::Reachable, "c::ab");
        let outside = oracle(OracleKind::Reachable, "lib::x");
        let catalogue = [of_test.clone(), of_other.clone(), outside.clone()];
        let unmet = |ran: &[&'static str], not_ran: &[&'static str]| {
            let tests = Exercised {
                ran: ran.iter().copied().collect(),
                not_ran: not_ran.iter().copied().collect(),
            };
            OracleCounts::default().unmet(&catalogue, &tests).len()
        };
        assert_eq!(unmet(&["c::a"], &["c::ab"]), 1);
        assert_eq!(unmet(&["c::a", "c::ab"], &[]), 3);
        assert_eq!(unmet(&[], &["c::a"]), 0);
    }

    #[test]
    fn unmet_demands_a_hold_of_sometimes_alone() {
        let tests = Exercised {
            ran: BTreeSet::from(["c::a"]),
            not_ran: BTreeSet::new(),
        };
        for (kind, unmet) in [
            (OracleKind::Sometimes, 1),
            (OracleKind::Reachable, 0),
            (OracleKind::Always, 0),
        ] {
            let oracle = oracle(kind, "c::a");
            let catalogue = [oracle.clone()];
            assert_eq!(counts(&oracle, 3, 0).unmet(&catalogue, &tests).len(), unmet);
            let mut both = counts(&oracle, 3, 0);
            both.merge(counts(&oracle, 1, 1));
            assert_eq!(both.unmet(&catalogue, &tests), Vec::<String>::new());
        }
    }
}
