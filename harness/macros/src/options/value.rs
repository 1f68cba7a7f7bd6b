//! Parses the values of options.

use super::{Clock, example_of};
use quote::ToTokens as _;
use std::time::Duration;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Lit, LitStr, Path, Token};

/// The value in `name = value`.
pub(super) enum Value {
    Literal(Lit),
    Path(Path),
}

impl Value {
    /// Parses the value of the option `name`. Only `crate` takes a path.
    pub(super) fn parse(name: &Ident, input: ParseStream<'_>) -> syn::Result<Self> {
        if *name == "crate" && !input.peek(syn::Lit) {
            return input.call(Path::parse_mod_style).map(Self::Path);
        }
        let rest = input.to_string();
        let literal = input.parse::<Lit>().map_err(|error| {
            let found = match rest.split(',').next().map(str::trim) {
                None | Some("") => "nothing".to_owned(),
                Some(tokens) => format!("`{tokens}`"),
            };
            let message = match example_of(&name.unraw().to_string()) {
                Some(example) => {
                    format!("option `{name}` takes a literal, found {found}: write `{example}`")
                }
                None => format!("expected a literal after `{name} =`, found {found}"),
            };
            Error::new(error.span(), message)
        })?;
        Ok(Self::Literal(literal))
    }

    /// Returns the error for a value of the wrong type.
    fn mismatch(&self, name: &Ident, expected: &str) -> Error {
        let tokens = match self {
            Self::Literal(literal) => literal.to_token_stream(),
            Self::Path(path) => path.to_token_stream(),
        };
        let example = example_of(&name.unraw().to_string()).unwrap_or_default();
        let message =
            format!("option `{name}` takes {expected}, found `{tokens}`: write `{example}`");
        Error::new_spanned(tokens, message)
    }
}

/// Returns the string literal in `value`. Any other value is an error.
pub(super) fn text(name: &Ident, value: Value) -> Result<LitStr, Error> {
    match value {
        Value::Literal(Lit::Str(text)) => Ok(text),
        other => Err(other.mismatch(name, "a string literal")),
    }
}

/// Returns the positive integer in `value`. Any other value is an error.
pub(super) fn count(name: &Ident, value: &Value) -> Result<u64, Error> {
    let number = match value {
        Value::Literal(Lit::Int(number)) => number.base10_parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| value.mismatch(name, "an integer above zero"))
}

/// Returns the path in `value`, such as `my_prelude::chaos`. The path may be in quotes.
pub(super) fn path(value: Value) -> Result<Path, Error> {
    let literal = match value {
        Value::Path(path) => return Ok(path),
        Value::Literal(literal) => literal,
    };
    let path = match &literal {
        Lit::Str(text) => text.parse_with(Path::parse_mod_style).ok(),
        _ => None,
    };
    path.ok_or_else(|| {
        let message = format!(
            "option `crate` takes a path to the harness, found `{}`: write for example `crate = my_prelude::chaos`",
            literal.to_token_stream()
        );
        Error::new_spanned(&literal, message)
    })
}

/// Returns the value as a test's name: identifiers, separated by `::`.
pub(super) fn seed_name(value: &LitStr) -> Result<String, Error> {
    let name = value.value();
    let parser = |input: ParseStream<'_>| {
        Punctuated::<Ident, Token![::]>::parse_separated_nonempty_with(input, Ident::parse_any)
    };
    // Parsing ignores white space between tokens, but the name must not contain any.
    let parsed = value.parse_with(parser).ok().filter(|identifiers| {
        let joined: Vec<String> = identifiers.iter().map(Ident::to_string).collect();
        joined.join("::") == name
    });
    match parsed {
        Some(_) => Ok(name),
        None => Err(Error::new(
            value.span(),
            format!(
                "`{name}` is not the name of a test: write the name as --list shows it, such as \"corruption::one_flipped_bit\""
            ),
        )),
    }
}

/// Parses a size in `KiB`, `MiB` or `GiB`, and returns the size in bytes.
pub(super) fn bytes(value: &LitStr) -> Result<u64, Error> {
    let text = value.value();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let shift = match text[digits.len()..].trim() {
        "KiB" => Some(10),
        "MiB" => Some(20),
        "GiB" => Some(30),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(shift);
    size.and_then(|(number, shift)| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| {
            Error::new(
                value.span(),
                format!(
                    "`{text}` is not a size above zero: write for example \"64KiB\", \"512MiB\" or \"2GiB\""
                ),
            )
        })
}

/// Parses a positive duration.
pub(super) fn duration(value: &LitStr) -> Result<Duration, Error> {
    let text = value.value();
    let duration = humantime::parse_duration(&text).map_err(|error| {
        Error::new(
            value.span(),
            format!(
                "`{text}` is not a duration ({error}): write for example \"500ms\", \"10s\" or \"1m 30s\""
            ),
        )
    })?;
    if duration.is_zero() {
        return Err(Error::new(
            value.span(),
            format!("expected a duration above zero, found `{text}`: write for example \"10s\""),
        ));
    }
    Ok(duration)
}

/// Parses a positive duration in whole seconds, which is the unit of `RLIMIT_CPU`.
pub(super) fn whole_seconds(value: &LitStr) -> Result<u64, Error> {
    let limit = duration(value)?;
    if limit.subsec_nanos() == 0 {
        Ok(limit.as_secs())
    } else {
        Err(Error::new(
            value.span(),
            format!(
                "expected whole seconds of CPU time, found `{}`: write for example \"10s\" or \"1m\"",
                value.value()
            ),
        ))
    }
}

/// Returns the clock that the value names.
pub(super) fn clock(value: &LitStr) -> Result<Clock, Error> {
    match value.value().as_str() {
        "real" => Ok(Clock::Real),
        "paused" => Ok(Clock::Paused),
        "manual" => Ok(Clock::Manual),
        other => Err(Error::new(
            value.span(),
            format!("unknown clock `{other}`: expected \"real\", \"paused\" or \"manual\""),
        )),
    }
}
