//! Conditions of claims.

use crate::onnx::{AttributeValue, ElementType, Interval, NodeInContext, Value};

use super::rules::Rule;

/// A condition on a node.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Letter(char, Vec<ElementType>),
    Attribute(String, Comparison),
    Required(String),
    Constant(Vec<usize>),
    Absent(usize),
    Present(usize),
    Rank(usize, Vec<usize>),
    RankAtLeast(usize, usize),
    Range(usize, Interval),
    Outputs(usize),
    Results(Vec<ElementType>),
    Rule(Rule),
}

/// A condition on an attribute, or on each element of a list.
#[derive(Clone, Debug)]
pub(super) enum Comparison {
    In(Vec<String>),
    AtLeast(f64),
    AtMost(f64),
}

impl Condition {
    /// The attribute that the condition names.
    pub(super) fn attribute(&self) -> Option<&str> {
        match self {
            Self::Attribute(name, _) | Self::Required(name) => Some(name),
            Self::Rule(rule) => rule.attribute,
            _ => None,
        }
    }

    /// Checks the condition.
    ///
    /// # Errors
    ///
    /// A description of the found value.
    pub(super) fn check(
        &self,
        node: &NodeInContext<'_, '_>,
        letters: &[(char, ElementType)],
    ) -> Result<(), String> {
        let input = |position: usize| node.inputs.get(position).and_then(|input| input.as_deref());
        let expect = |holds: bool, found: &dyn Fn() -> String| match holds {
            true => Ok(()),
            false => Err(found()),
        };
        match self {
            Self::Letter(letter, types) => {
                match letters.iter().find(|(other, _)| other == letter) {
                    Some((_, found)) => expect(types.contains(found), &|| found.to_string()),
                    None => Ok(()),
                }
            }
            Self::Attribute(name, comparison) => match node.node.attribute(name) {
                Some(value) => expect(comparison.holds(value), &|| value.describe()),
                None => Ok(()),
            },
            Self::Required(name) => {
                expect(node.node.attribute(name).is_some(), &|| "none".to_owned())
            }
            Self::Constant(positions) => {
                let computed = positions
                    .iter()
                    .find(|position| input(**position).is_some_and(|value| !value.is_constant));
                match computed {
                    Some(position) => Err(format!("input {position} is computed")),
                    None => Ok(()),
                }
            }
            Self::Absent(position) => {
                expect(input(*position).is_none(), &|| "the input".to_owned())
            }
            Self::Present(position) => expect(input(*position).is_some(), &|| "none".to_owned()),
            Self::Rank(position, ranks) => {
                check_rank(input(*position), |rank| ranks.contains(&rank))
            }
            Self::RankAtLeast(position, least) => {
                check_rank(input(*position), |rank| rank >= *least)
            }
            Self::Range(position, range) => match input(*position) {
                Some(value) => expect(value.range().is_within(*range), &|| {
                    value.range().to_string()
                }),
                None => Ok(()),
            },
            Self::Outputs(count) => {
                let used = node.node.outputs.iter().rposition(|name| !name.is_empty());
                let used = used.map_or(0, |last| last + 1);
                expect(used <= *count, &|| used.to_string())
            }
            Self::Results(types) => {
                let elements = node.outputs.iter().filter_map(|value| value.element);
                match elements
                    .into_iter()
                    .find(|element| !types.contains(element))
                {
                    Some(other) => Err(other.to_string()),
                    None => Ok(()),
                }
            }
            Self::Rule(rule) => (rule.check)(node),
        }
    }
}

fn check_rank(value: Option<&Value>, holds: impl Fn(usize) -> bool) -> Result<(), String> {
    match value.map(Value::rank) {
        None => Ok(()),
        Some(Some(rank)) if holds(rank) => Ok(()),
        Some(Some(rank)) => Err(rank.to_string()),
        Some(None) => Err("an unknown rank".to_owned()),
    }
}

impl Comparison {
    fn holds(&self, value: &AttributeValue<'_>) -> bool {
        match value {
            AttributeValue::Integer(value) => self.holds_for(*value as f64, &value.to_string()),
            AttributeValue::Float(value) => self.holds_for((*value).into(), &value.to_string()),
            AttributeValue::Text(text) => self.holds_for_text(text),
            AttributeValue::Integers(values) => values
                .iter()
                .all(|value| self.holds_for(*value as f64, &value.to_string())),
            AttributeValue::Floats(values) => values
                .iter()
                .all(|value| self.holds_for((*value).into(), &value.to_string())),
            AttributeValue::Texts(texts) => texts.iter().all(|text| self.holds_for_text(text)),
            _ => false,
        }
    }

    fn holds_for(&self, value: f64, text: &str) -> bool {
        match self {
            Self::In(values) => values.iter().any(|each| each == text),
            Self::AtLeast(least) => value >= *least,
            Self::AtMost(most) => value <= *most,
        }
    }

    fn holds_for_text(&self, text: &[u8]) -> bool {
        match self {
            Self::In(values) => values.iter().any(|each| each.as_bytes() == text),
            Self::AtLeast(_) | Self::AtMost(_) => false,
        }
    }
}
