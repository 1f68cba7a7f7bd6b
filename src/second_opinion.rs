//! Second opinions: the answers of another runtime to the same inputs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::RuntimeId;

/// What the vetting does with the answers of a second runtime.
///
/// The default is [`Warn`](Self::Warn). Without a second runtime, `Off` and `Warn` are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecondOpinionPolicy {
    /// Asks no second runtime.
    Off,
    /// Serves a version with different answers, and warns.
    #[default]
    Warn,
    /// Refuses a version with different answers, and a version whose answers could not be compared.
    /// A version that only one runtime can run is served.
    Require,
}

/// The text is not a policy of second opinions.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected off, warn or require, found {0:?}")]
pub struct InvalidSecondOpinionPolicy(String);

/// The second opinion about a version: how the answers of another runtime compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SecondOpinion {
    /// Both runtimes gave the same answers.
    Agreed {
        /// The second runtime.
        runtime: RuntimeId,
        /// The number of inputs that both runtimes answered.
        compared: usize,
        /// The number of inputs that the runtimes got.
        tried: usize,
    },
    /// The runtimes gave different answers.
    Disagreed {
        /// The runtime that serves the version.
        first: RuntimeId,
        /// The second runtime.
        runtime: RuntimeId,
        /// The first difference.
        difference: Box<Disagreement>,
    },
    /// Only one runtime can run the version.
    Single {
        /// The runtime that cannot run the version.
        runtime: RuntimeId,
        /// The reason as a sentence.
        why: String,
    },
    /// The version draws random numbers, so no two answers are equal.
    Random {
        /// The operator that draws them.
        operator: String,
    },
    /// No input was answered by both runtimes.
    Uncompared {
        /// The second runtime.
        runtime: RuntimeId,
        /// The reason as a sentence.
        why: String,
    },
}

/// The first difference between the answers of two runtimes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Disagreement {
    /// The input: `the probe`, or `drawn input` and its number, counted from 1.
    pub input: String,
    /// The name of the output; empty if the outputs themselves differ.
    pub output: String,
    /// The index of the value, counted from 0 in row-major order. `None` if the datatypes or shapes
    /// differ.
    pub position: Option<usize>,
    /// The value of the runtime that serves the version, or its datatype and shape.
    pub first: String,
    /// The value of the second runtime, or its datatype and shape.
    pub second: String,
}

impl SecondOpinionPolicy {
    /// The name of the policy: `off`, `warn` or `require`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Require => "require",
        }
    }

    /// Whether a version with this opinion may be served.
    pub(crate) fn admits(self, opinion: &SecondOpinion) -> bool {
        match opinion {
            SecondOpinion::Agreed { .. }
            | SecondOpinion::Single { .. }
            | SecondOpinion::Random { .. } => true,
            SecondOpinion::Disagreed { .. } | SecondOpinion::Uncompared { .. } => {
                self != Self::Require
            }
        }
    }
}

impl FromStr for SecondOpinionPolicy {
    type Err = InvalidSecondOpinionPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidSecondOpinionPolicy> {
        let mut all = [Self::Off, Self::Warn, Self::Require].into_iter();
        let found = all.find(|policy| policy.as_str() == text);
        found.ok_or_else(|| InvalidSecondOpinionPolicy(text.to_owned()))
    }
}

impl fmt::Display for SecondOpinionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SecondOpinion {
    /// The names of all results: the values of the label `result` of
    /// `model_second_opinions_total`.
    pub(crate) const RESULTS: [&str; 5] = ["agreed", "disagreed", "single", "random", "uncompared"];

    /// The name of the result.
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Agreed { .. } => "agreed",
            Self::Disagreed { .. } => "disagreed",
            Self::Single { .. } => "single",
            Self::Random { .. } => "random",
            Self::Uncompared { .. } => "uncompared",
        }
    }

    /// Whether the version may answer wrongly.
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self, Self::Disagreed { .. } | Self::Uncompared { .. })
    }
}

impl fmt::Display for SecondOpinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agreed {
                runtime,
                compared,
                tried,
            } => write!(
                f,
                "agreed: {runtime} gives the same answers to {compared} of {tried} input(s)"
            ),
            Self::Disagreed {
                first,
                runtime,
                difference,
            } => write!(f, "disagreed: {}", difference.describe(first, runtime)),
            Self::Single { runtime, why } => {
                write!(f, "single: {runtime} cannot run the model: {why}")
            }
            Self::Random { operator } => write!(
                f,
                "random: the model draws random numbers ({operator}), so no answers were compared"
            ),
            Self::Uncompared { runtime, why } => {
                write!(f, "uncompared: no answer of {runtime} was compared: {why}")
            }
        }
    }
}

impl Disagreement {
    /// Describes the difference between the answers of two runtimes.
    fn describe(&self, by_first: &RuntimeId, by_second: &RuntimeId) -> String {
        let Self {
            input,
            output,
            position,
            first,
            second,
        } = self;
        let output = match &**output {
            "" => String::new(),
            output => format!(", output {output}"),
        };
        let at = position.map_or_else(String::new, |position| format!(" at {position}"));
        format!("{input}{output}{at}: {by_first} answers {first}, {by_second} answers {second}")
    }
}
