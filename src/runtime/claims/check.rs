//! Looks up each node of a model in the claims.

use std::collections::BTreeSet;
use std::fmt;

use super::hazards::Hazards;
use super::{Claim, Claims, Coverage, Input, Types};
use crate::onnx::{
    ElementType, ExternalFiles, Inference, InputLimits, Interval, Model, NodeInContext, Observer,
    Value,
};
use crate::sanitize::sanitize_for_log;

/// A node that satisfies no claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unmet {
    /// The name of the node, or of its first output.
    pub(crate) node: String,
    pub(crate) operator: String,
    /// The imported version of the operator's domain.
    pub(crate) version: Option<i64>,
    /// The condition that does not hold, and the found value.
    pub(crate) condition: String,
}

/// The datatypes that rten computes.
const COMPUTED: [ElementType; 6] = [
    ElementType::FLOAT,
    ElementType::UINT8,
    ElementType::INT8,
    ElementType::INT32,
    ElementType::INT64,
    ElementType::BOOL,
];

/// The maximum number of unmet nodes that are kept.
const MAX_UNMET: usize = 1000;

pub(super) fn check(
    claims: &Claims,
    model: &Model<'_>,
    files: &ExternalFiles<'_>,
    is_added: &dyn Fn(&str) -> bool,
    limits: InputLimits,
) -> Result<Coverage, Vec<Unmet>> {
    let mut check = Check {
        claims,
        is_added,
        used: BTreeSet::new(),
        unmet: Vec::new(),
        hazards: Hazards::default(),
    };
    Inference::walk(model, files, limits, &mut check);
    match check.unmet.is_empty() {
        true => Ok(Coverage {
            lines: check.used.into_iter().collect(),
            limits,
            misleads_optimizer: check.hazards.found(),
        }),
        false => Err(check.unmet),
    }
}

struct Check<'c> {
    claims: &'c Claims,
    /// Whether the rewriting has added the node of a name.
    is_added: &'c dyn Fn(&str) -> bool,
    used: BTreeSet<usize>,
    unmet: Vec<Unmet>,
    hazards: Hazards,
}

impl Observer for Check<'_> {
    fn node(&mut self, node: &NodeInContext<'_, '_>) {
        self.hazards.add(node);
        // Such nodes can use forms that the standard does not have, and that rten computes rightly.
        if (self.is_added)(node.node.name) {
            if let Some(found) = not_computed(node) {
                let condition = format!("expected a datatype that rten computes, found {found}");
                self.refuse(node, condition);
            }
            return;
        }
        match self.claims.line_for(node) {
            Ok(line) => drop(self.used.insert(line)),
            Err(condition) => self.refuse(node, condition),
        }
    }

    fn output(&mut self, name: &str, value: Option<&Value>) {
        let Some(value) = value else { return };
        if value.element == Some(ElementType::INT64) && !value.fits_32_bits() {
            self.push(Unmet {
                node: sanitize_for_log(name),
                operator: "output".to_owned(),
                version: None,
                condition: out_of_32_bits("the output", value.range()),
            });
        }
    }
}

impl Check<'_> {
    fn refuse(&mut self, node: &NodeInContext<'_, '_>, condition: String) {
        self.push(unmet(node, condition));
    }

    fn push(&mut self, unmet: Unmet) {
        if self.unmet.len() < MAX_UNMET {
            self.unmet.push(unmet);
        }
    }
}

/// A node, and the condition that it does not satisfy.
pub(super) fn unmet(node: &NodeInContext<'_, '_>, condition: String) -> Unmet {
    let name = match node.node.name {
        "" => node.node.outputs.first().copied().unwrap_or(""),
        name => name,
    };
    let operator = match node.node.domain {
        "" => node.node.operator.to_owned(),
        domain => format!("{domain}.{}", node.node.operator),
    };
    Unmet {
        node: sanitize_for_log(name),
        operator: sanitize_for_log(operator),
        version: node.version,
        condition: sanitize_for_log(condition),
    }
}

fn out_of_32_bits(name: impl fmt::Display, range: Interval) -> String {
    format!("expected {name} of type INT64 to fit into 32 bits, found {range}")
}

impl Claims {
    /// The line of the first claim that the node satisfies.
    ///
    /// # Errors
    ///
    /// The condition that does not hold, of the claim with the fewest such conditions.
    fn line_for(&self, node: &NodeInContext<'_, '_>) -> Result<usize, String> {
        if node.is_function {
            return Err("the operator is a function that the model defines".to_owned());
        }
        let claims = match node.node.domain {
            "" => self.by_operator.get(node.node.operator),
            _ => None,
        };
        let claims = claims.ok_or("there is no claim for the operator")?;
        let version = node
            .version
            .ok_or("the model imports no version of the operator")?;
        if let Some(universal) = &self.universal
            && let Some(failure) = self.failures(universal, node, version).into_iter().next()
        {
            return Err(failure);
        }
        let mut nearest: Option<Vec<String>> = None;
        for claim in claims.iter().filter(|claim| claim.covers(version)) {
            let failures = self.failures(claim, node, version);
            if failures.is_empty() {
                return Ok(claim.line);
            }
            if nearest
                .as_ref()
                .is_none_or(|nearest| failures.len() < nearest.len())
            {
                nearest = Some(failures);
            }
        }
        let nearest = nearest.and_then(|failures| failures.into_iter().next());
        Err(nearest.unwrap_or_else(|| {
            let versions: Vec<String> = claims
                .iter()
                .map(|claim| match claim.until {
                    Some(until) => format!("{} to {until}", claim.since),
                    None => format!("{} and later", claim.since),
                })
                .collect();
            format!(
                "expected a version {}, found {version}",
                versions.join(" or ")
            )
        }))
    }

    /// The conditions of a claim that do not hold for a node.
    fn failures(&self, claim: &Claim, node: &NodeInContext<'_, '_>, version: i64) -> Vec<String> {
        let mut failures = Vec::new();
        if claim.operator == "*" {
            if !claim.covers(version) {
                let until = claim.until.unwrap_or(i64::MAX);
                failures.push(format!(
                    "expected a version of at most {until}, found {version}"
                ));
            }
        } else {
            failures.extend(unmentioned(claim, node));
            failures.extend(integers(claim, node));
        }
        let (letters, mistyped) = match claim.operator.as_str() {
            "*" => (Vec::new(), None),
            _ => types(claim, node),
        };
        failures.extend(mistyped);
        for each in &claim.conditions {
            if self.dropped == Some(each.number) {
                continue;
            }
            if let Err(found) = each.condition.check(node, &letters) {
                failures.push(format!("expected `{}`, found {found}", each.text));
            }
        }
        failures
    }
}

/// The datatype of an input or output that rten does not compute. Unknown ones are not named.
fn not_computed(node: &NodeInContext<'_, '_>) -> Option<ElementType> {
    let inputs = node.inputs.iter().flatten().map(|input| input.element);
    let outputs = node.outputs.iter().map(|output| output.element);
    let mut found = inputs.chain(outputs).flatten();
    found.find(|element| !COMPUTED.contains(element))
}

/// An attribute of the node that the claim does not mention.
fn unmentioned(claim: &Claim, node: &NodeInContext<'_, '_>) -> Option<String> {
    let mut attributes = node.node.attributes.iter();
    let found = attributes.find(|attribute| {
        !claim
            .attributes
            .iter()
            .any(|mentioned| mentioned == attribute.name)
    })?;
    Some(format!(
        "the claim does not mention the attribute `{}`",
        found.name
    ))
}

/// An input or output of type INT64 that can leave 32 bits.
fn integers(claim: &Claim, node: &NodeInContext<'_, '_>) -> Option<String> {
    let leaves = |value: &Value| {
        value.element == Some(ElementType::INT64) && !value.is_sequence && !value.fits_32_bits()
    };
    for (position, input) in node.inputs.iter().enumerate() {
        if let Some(value) = input
            && leaves(value)
            && !claim.clamped.contains(&position)
        {
            return Some(out_of_32_bits(
                format_args!("input {position}"),
                value.range(),
            ));
        }
    }
    // The nodes that take a constant are checked.
    if claim.operator == "Constant" {
        return None;
    }
    let (position, value) = node
        .outputs
        .iter()
        .enumerate()
        .find(|(_, value)| leaves(value))?;
    Some(out_of_32_bits(
        format_args!("output {position}"),
        value.range(),
    ))
}

/// The types of the letters, and a mistake if an input has another type.
fn types(
    claim: &Claim,
    node: &NodeInContext<'_, '_>,
) -> (Vec<(char, ElementType)>, Option<String>) {
    let mut letters: Vec<(char, ElementType)> = Vec::new();
    for (position, found) in node.inputs.iter().enumerate() {
        let repeated = claim.inputs.last().filter(|last| last.is_repeated);
        let Some(expected) = claim.inputs.get(position).or(repeated) else {
            if found.is_none() {
                continue;
            }
            let most = claim.inputs.len();
            return (
                letters,
                Some(format!("expected at most {most} inputs, found more")),
            );
        };
        if let Err(mistake) = check_input(expected, found.as_deref(), &mut letters) {
            return (letters, Some(format!("input {position}: {mistake}")));
        }
    }
    let missing = claim.inputs.iter().skip(node.inputs.len());
    let is_missing = |input: &Input| !input.is_optional && !input.is_repeated;
    let mistake = missing.filter(|input| is_missing(input)).count() > 0;
    (letters, mistake.then(|| "an input is missing".to_owned()))
}

fn check_input(
    expected: &Input,
    found: Option<&Value>,
    letters: &mut Vec<(char, ElementType)>,
) -> Result<(), String> {
    let Some(found) = found else {
        return match expected.is_optional || expected.is_repeated {
            true => Ok(()),
            false => Err("expected an input, found none".to_owned()),
        };
    };
    let element = found
        .element
        .ok_or("expected a known datatype, found an unknown one")?;
    if matches!(expected.types, Types::Any) {
        return Ok(());
    }
    if found.is_sequence != expected.is_sequence {
        let is = |is_sequence| {
            if is_sequence {
                "a sequence"
            } else {
                "a tensor"
            }
        };
        let (expected, found) = (is(expected.is_sequence), is(found.is_sequence));
        return Err(format!("expected {expected}, found {found}"));
    }
    match &expected.types {
        Types::Any => Ok(()),
        Types::OneOf(types) if types.contains(&element) => Ok(()),
        Types::OneOf(types) => {
            let types: Vec<String> = types.iter().map(ToString::to_string).collect();
            Err(format!(
                "expected the datatype {}, found {element}",
                types.join(" or ")
            ))
        }
        Types::Letter(letter) => match letters.iter().find(|(known, _)| known == letter) {
            None => {
                letters.push((*letter, element));
                Ok(())
            }
            Some((_, known)) if *known == element => Ok(()),
            Some((_, known)) => Err(format!("expected the datatype {known}, found {element}")),
        },
    }
}
