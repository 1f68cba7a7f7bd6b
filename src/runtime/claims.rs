//! The claims of a runtime: the operators that it computes rightly, and under which conditions.
//!
//! A claim stands for all values: an operator that is wrong for *some* values has no claim there.
//! A model is loaded only if each of its nodes satisfies a claim.
//!
//! # The language
//!
//! A file of claims has a claim on each line. An indented line continues the line above. `#` begins
//! a comment.
//!
//! ```text
//! AveragePool 7..10 (FLOAT) [kernel_shape strides pads]: auto_pad in NOTSET VALID; ceil_mode = 0
//! ```
//!
//! - The operator comes first. `*` stands for each operator: its conditions hold for all nodes.
//! - The versions of the standard come next, both included. `7..` has no end.
//! - The types of the inputs are in parentheses, in their order. `|` separates alternatives, `any`
//!   stands for all types, and `seq(FLOAT)` for a sequence. One capital letter stands for one type
//!   at all its places. A question mark follows an input that can be absent. An asterisk follows
//!   the last input if it can be repeated.
//! - The attributes in brackets can have any value. A node must have no attribute that its claim
//!   does not mention.
//! - The conditions are separated by semicolons. Each has a number, in the order of the file.
//!
//! | condition | meaning |
//! |---|---|
//! | `T in FLOAT INT32` | the type that the letter stands for |
//! | `mode in linear nearest` | the attribute, or each element of a list, if there is one |
//! | `group = 1`, `axis >= 0`, `p <= 2` | as above |
//! | `axis required` | the node has the attribute |
//! | `constant 1 2` | these inputs, counted from 0, are constant or absent |
//! | `absent 4`, `present 1` | the input is absent or present |
//! | `rank 0 in 3 4`, `rank 0 >= 1` | the number of dimensions of an input |
//! | `range 1 in 0..255` | all elements of an input are known to be in the range |
//! | `outputs 1` | the node has at most this number of outputs |
//! | `results in FLOAT INT32` | the known datatypes of all outputs |
//! | `clamped 1 2` | these inputs can be INT64 beyond 32 bits: no condition, without a number |
//! | `rule last_axis` | a rule in code: [`rules`] |

mod check;
mod condition;
mod exceptions;
mod hazards;
mod parser;
mod randomness;
mod rules;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use self::check::Unmet;
use self::condition::Condition;
pub(crate) use self::exceptions::{exceptions, may_be_computed_by_onnxruntime};
pub(crate) use self::randomness::random_nodes;
pub(crate) use self::rules::is_inexact_division;
use crate::onnx::{ElementType, ExternalFiles, InputLimits, LIMITS, Model, UnreadableGraph};

/// The claims of a runtime.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    /// The conditions for each node.
    universal: Option<Claim>,
    by_operator: HashMap<String, Vec<Claim>>,
    /// The number of the condition that is left out.
    dropped: Option<usize>,
}

/// The result of a check of which each node satisfies a claim.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Coverage {
    /// The lines of the claims, in ascending order.
    pub(crate) lines: Vec<usize>,
    /// The inputs for which the claims hold.
    pub(crate) limits: InputLimits,
    /// Whether the model has chains of nodes that the runtime's optimiser replaces wrongly.
    pub(crate) misleads_optimizer: bool,
}

/// One claim.
#[derive(Clone, Debug)]
struct Claim {
    /// The number of the line where the claim begins, counted from 1.
    line: usize,
    operator: String,
    since: i64,
    until: Option<i64>,
    inputs: Vec<Input>,
    attributes: Vec<String>,
    clamped: Vec<usize>,
    conditions: Vec<Numbered>,
}

/// A condition with its number, counted from 0.
#[derive(Clone, Debug)]
struct Numbered {
    number: usize,
    text: String,
    condition: Condition,
}

/// The types of an input.
#[derive(Clone, Debug)]
struct Input {
    types: Types,
    is_sequence: bool,
    is_optional: bool,
    /// Whether the input stands for any number of inputs.
    is_repeated: bool,
}

#[derive(Clone, Debug)]
enum Types {
    Any,
    OneOf(Vec<ElementType>),
    Letter(char),
}

/// The claims of rten.
static RTEN: LazyLock<Claims> =
    LazyLock::new(|| match Claims::parse(include_str!("claims/rten.claims")) {
        Ok(claims) => claims,
        // A unit test parses the file, so this does not happen.
        Err(error) => panic!("the claims of rten: {error}"),
    });

impl Claims {
    /// The claims of rten.
    pub(crate) fn rten() -> &'static Self {
        &RTEN
    }

    /// The claims without one condition.
    pub(crate) fn without(&self, condition: usize) -> Self {
        Self {
            dropped: Some(condition),
            ..self.clone()
        }
    }

    /// Looks up each node of a model. Tries narrower limits of the inputs if the integers of a node
    /// can leave 32 bits.
    ///
    /// # Errors
    ///
    /// The nodes that satisfy no claim within the widest limits.
    pub(crate) fn check(
        &self,
        model: &Model<'_>,
        files: &ExternalFiles<'_>,
        is_added: &dyn Fn(&str) -> bool,
    ) -> Result<Coverage, Vec<Unmet>> {
        let [widest, narrower @ ..] = LIMITS;
        let check = |limits| check::check(self, model, files, is_added, limits);
        check(widest).or_else(|unmet| {
            let mut narrower = narrower.into_iter();
            let covered = narrower.find_map(|limits| check(limits).ok());
            covered.ok_or(unmet)
        })
    }

    /// Reads a model and looks up each node, except for the nodes with a name for which `is_added`
    /// is true: the rewriting has added them.
    ///
    /// # Errors
    ///
    /// When the bytes are not a model.
    pub(crate) fn check_bytes(
        &self,
        model: &[u8],
        files: &ExternalFiles<'_>,
        is_added: &dyn Fn(&str) -> bool,
    ) -> Result<Result<Coverage, Vec<Unmet>>, UnreadableGraph> {
        Ok(self.check(&Model::read(model)?, files, is_added))
    }

    /// The claims as lines of JSON.
    pub(crate) fn to_json_lines(&self) -> Vec<String> {
        let mut claims: Vec<&Claim> = self.by_operator.values().flatten().collect();
        claims.extend(&self.universal);
        claims.sort_by_key(|claim| claim.line);
        claims
            .into_iter()
            .map(|claim| claim.to_json().to_string())
            .collect()
    }
}

impl Claim {
    fn covers(&self, version: i64) -> bool {
        self.since <= version && self.until.is_none_or(|until| version <= until)
    }

    fn to_json(&self) -> serde_json::Value {
        let conditions = self.conditions.iter();
        let conditions =
            conditions.map(|each| serde_json::json!({"number": each.number, "text": each.text}));
        let inputs = self.inputs.iter().map(Input::to_json);
        serde_json::json!({
            "line": self.line,
            "operator": self.operator,
            "since": self.since,
            "until": self.until,
            "types": inputs.collect::<Vec<_>>(),
            "attributes": self.attributes,
            "conditions": conditions.collect::<Vec<_>>(),
        })
    }
}

impl Input {
    fn to_json(&self) -> serde_json::Value {
        let types = match &self.types {
            Types::Any => vec!["any".to_owned()],
            Types::OneOf(types) => types.iter().map(ToString::to_string).collect(),
            Types::Letter(letter) => vec![letter.to_string()],
        };
        serde_json::json!({
            "types": types,
            "sequence": self.is_sequence,
            "optional": self.is_optional,
            "repeated": self.is_repeated,
        })
    }
}

#[cfg(test)]
mod tests;
