//! Reads a file of claims.

use std::collections::HashMap;

use super::condition::{Comparison, Condition};
use super::{Claim, Claims, Input, Numbered, Types, rules};
use crate::onnx::{ElementType, Interval};

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    ///
    /// A sentence with the number of the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut claims = Self {
            universal: None,
            by_operator: HashMap::new(),
            dropped: None,
        };
        let mut conditions = 0;
        for (line, text) in join_lines(text)? {
            let claim = parse_claim(line, &text, &mut conditions);
            let claim = claim.map_err(|why| format!("line {line}: {why}"))?;
            match claim.operator.as_str() {
                "*" if claims.universal.is_some() => {
                    return Err(format!("line {line}: `*` has claims in two lines"));
                }
                "*" => claims.universal = Some(claim),
                _ => {
                    let same = claims.by_operator.entry(claim.operator.clone());
                    same.or_default().push(claim);
                }
            }
        }
        Ok(claims)
    }
}

/// Joins indented lines with the line above, and removes comments. Returns each claim with the
/// number of its first line.
fn join_lines(text: &str) -> Result<Vec<(usize, String)>, String> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line
            .split_once('#')
            .map_or(line, |(before, _)| before)
            .trim_end();
        match joined.last_mut() {
            _ if line.is_empty() => {}
            Some((_, claim)) if line.starts_with(' ') => {
                claim.push(' ');
                claim.push_str(line.trim());
            }
            None if line.starts_with(' ') => {
                return Err(format!(
                    "line {}: an indented line continues no line",
                    number + 1
                ));
            }
            _ => joined.push((number + 1, line.to_owned())),
        }
    }
    Ok(joined)
}

fn parse_claim(line: usize, text: &str, count: &mut usize) -> Result<Claim, String> {
    let (head, conditions) = match text.split_once(": ") {
        Some((head, conditions)) => (head, conditions),
        None => (text, ""),
    };
    let (operator, rest) = head
        .split_once(' ')
        .ok_or("expected versions after the operator")?;
    let (versions, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (since, until) = parse_versions(versions)?;
    let (inputs, rest) = match rest.trim().strip_prefix('(') {
        None => ("", rest),
        Some(rest) => split_inputs(rest).ok_or("expected `)` after the inputs")?,
    };
    let attributes = match rest.trim() {
        "" => "",
        rest => {
            let inside = rest
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            inside.ok_or_else(|| format!("expected `[attributes]`, found `{rest}`"))?
        }
    };
    let inputs = inputs
        .split(',')
        .map(str::trim)
        .filter(|input| !input.is_empty());
    let mut claim = Claim {
        line,
        operator: operator.to_owned(),
        since,
        until,
        inputs: inputs.map(parse_input).collect::<Result<_, _>>()?,
        attributes: attributes.split_whitespace().map(str::to_owned).collect(),
        clamped: Vec::new(),
        conditions: Vec::new(),
    };
    for text in conditions
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
    {
        if let Some(inputs) = text.strip_prefix("clamped ") {
            claim.clamped = parse_positions(inputs)?;
            continue;
        }
        let condition = parse_condition(text)?;
        if let Some(attribute) = condition.attribute() {
            claim.attributes.push(attribute.to_owned());
        }
        let text = text.to_owned();
        claim.conditions.push(Numbered {
            number: *count,
            text,
            condition,
        });
        *count += 1;
    }
    Ok(claim)
}

/// Splits the inputs from the rest at the closing parenthesis.
fn split_inputs(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

fn parse_versions(text: &str) -> Result<(i64, Option<i64>), String> {
    let expected = || format!("expected versions such as `7..` or `7..12`, found `{text}`");
    let (since, until) = text.split_once("..").ok_or_else(expected)?;
    let until = match until {
        "" => None,
        until => Some(until.parse().map_err(|_| expected())?),
    };
    Ok((since.parse().map_err(|_| expected())?, until))
}

fn parse_input(text: &str) -> Result<Input, String> {
    let (text, is_optional) = strip(text, '?');
    let (text, is_repeated) = strip(text, '*');
    let inside = text
        .strip_prefix("seq(")
        .and_then(|rest| rest.strip_suffix(')'));
    let (text, is_sequence) = inside.map_or((text, false), |inside| (inside, true));
    let mut letters = text.chars();
    let types = match (text, letters.next(), letters.next()) {
        ("any", ..) => Types::Any,
        (_, Some(letter @ 'A'..='Z'), None) => Types::Letter(letter),
        _ => Types::OneOf(text.split('|').map(parse_type).collect::<Result<_, _>>()?),
    };
    Ok(Input {
        types,
        is_sequence,
        is_optional,
        is_repeated,
    })
}

fn strip(text: &str, mark: char) -> (&str, bool) {
    text.strip_suffix(mark)
        .map_or((text, false), |text| (text, true))
}

fn parse_type(name: &str) -> Result<ElementType, String> {
    ElementType::from_name(name).ok_or_else(|| format!("expected a datatype, found `{name}`"))
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let unknown = || format!("expected a condition, found `{text}`");
    Ok(match words.as_slice() {
        ["constant", inputs @ ..] => Condition::Constant(parse_all(inputs)?),
        ["absent", input] => Condition::Absent(parse_number(input)?),
        ["present", input] => Condition::Present(parse_number(input)?),
        ["outputs", count] => Condition::Outputs(parse_number(count)?),
        ["rank", input, "in", ranks @ ..] => {
            Condition::Rank(parse_number(input)?, parse_all(ranks)?)
        }
        ["rank", input, ">=", rank] => {
            Condition::RankAtLeast(parse_number(input)?, parse_number(rank)?)
        }
        ["range", input, "in", range] => {
            Condition::Range(parse_number(input)?, parse_range(range)?)
        }
        ["results", "in", types @ ..] => {
            let types = types.iter().map(|name| parse_type(name));
            Condition::Results(types.collect::<Result<_, _>>()?)
        }
        ["rule", name] => Condition::Rule(rules::find(name).ok_or_else(unknown)?),
        [letter, "in", types @ ..] if is_letter(letter) => {
            let letter = letter.chars().next().unwrap_or('T');
            let types = types.iter().map(|name| parse_type(name));
            Condition::Letter(letter, types.collect::<Result<_, _>>()?)
        }
        [attribute, "required"] => Condition::Required((*attribute).to_owned()),
        [attribute, "in", values @ ..] => {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            Condition::Attribute((*attribute).to_owned(), Comparison::In(values))
        }
        [attribute, "=", value] => {
            let comparison = Comparison::In(vec![(*value).to_owned()]);
            Condition::Attribute((*attribute).to_owned(), comparison)
        }
        [attribute, ">=", value] => Condition::Attribute(
            (*attribute).to_owned(),
            Comparison::AtLeast(parse_float(value)?),
        ),
        [attribute, "<=", value] => Condition::Attribute(
            (*attribute).to_owned(),
            Comparison::AtMost(parse_float(value)?),
        ),
        _ => return Err(unknown()),
    })
}

fn is_letter(text: &str) -> bool {
    text.len() == 1 && text.chars().all(|letter| letter.is_ascii_uppercase())
}

fn parse_number(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("expected a number, found `{text}`"))
}

fn parse_float(text: &str) -> Result<f64, String> {
    text.parse()
        .map_err(|_| format!("expected a number, found `{text}`"))
}

fn parse_all(words: &[&str]) -> Result<Vec<usize>, String> {
    if words.is_empty() {
        return Err("expected at least one number".to_owned());
    }
    words.iter().map(|word| parse_number(word)).collect()
}

fn parse_positions(text: &str) -> Result<Vec<usize>, String> {
    parse_all(&text.split_whitespace().collect::<Vec<_>>())
}

fn parse_range(text: &str) -> Result<Interval, String> {
    let (low, high) = text
        .split_once("..")
        .ok_or("expected a range such as `0..255`")?;
    let bound = |text: &str, open: f64| match text {
        "" => Ok(open),
        text => parse_float(text),
    };
    Ok(Interval::new(
        bound(low, f64::NEG_INFINITY)?,
        bound(high, f64::INFINITY)?,
    ))
}
