//! What stands between the parentheses of `#[chaos(…)]`.

use proc_macro2::{Span, TokenStream};
use std::time::Duration;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Lit, LitStr, Token};

/// The options that take a value, for the error that names them.
const OPTIONS: &str = "`timeout = \"10s\"`, `clock = \"real\" | \"paused\" | \"manual\"`, `memory = \"512MiB\"`, `open_files = 64` and `cpu = \"10s\"`";

/// Their names.
const NAMES: [&str; 5] = ["timeout", "clock", "memory", "open_files", "cpu"];

/// The operators of tag expressions (`-m "not slow and breaker"`), which therefore cannot be tags.
const RESERVED: [&str; 3] = ["and", "or", "not"];

/// Which clock an async test sees.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    #[default]
    Real,
    Paused,
    Manual,
}

/// The parsed attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) tags: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    /// In bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) open_files: Option<u64>,
    /// In seconds.
    pub(crate) cpu: Option<u64>,
    pub(crate) clock: Clock,
    /// Where the clock was chosen, for errors about it.
    pub(crate) clock_span: Option<Span>,
}

impl Options {
    /// Reads the attribute's tokens; all that is wrong with them comes back beside what could be read.
    pub(crate) fn parse(tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut options = Self::default();
        let mut problems = Vec::new();
        match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(entries) => {
                for entry in entries {
                    if let Err(problem) = options.take(entry) {
                        problems.push(problem);
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
        (options, problems)
    }

    fn take(&mut self, entry: Entry) -> Result<(), Error> {
        let name = entry.name.unraw().to_string();
        let Some(value) = entry.value else {
            return self.tag(&entry.name, name);
        };
        let given = match name.as_str() {
            "timeout" => self.timeout.is_some(),
            "clock" => self.clock_span.is_some(),
            "memory" => self.memory.is_some(),
            "open_files" => self.open_files.is_some(),
            "cpu" => self.cpu.is_some(),
            other => {
                return Err(Error::new(
                    entry.name.span(),
                    format!(
                        "unknown option `{other}`: the options are {OPTIONS}; a word without a value is a tag"
                    ),
                ));
            }
        };
        if given {
            return Err(repeated(&entry.name));
        }
        match name.as_str() {
            "timeout" => self.timeout = Some(duration(&text(&entry.name, value)?)?),
            "memory" => self.memory = Some(bytes(&text(&entry.name, value)?)?),
            "open_files" => self.open_files = Some(count(&entry.name, value)?),
            "cpu" => self.cpu = Some(whole_seconds(&text(&entry.name, value)?)?),
            _clock => {
                let value = text(&entry.name, value)?;
                self.clock = clock(&value)?;
                self.clock_span = Some(value.span());
            }
        }
        Ok(())
    }

    fn tag(&mut self, ident: &Ident, name: String) -> Result<(), Error> {
        if NAMES.contains(&name.as_str()) {
            return Err(Error::new(
                ident.span(),
                format!("`{name}` is an option and needs a value: {OPTIONS}"),
            ));
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(Error::new(
                ident.span(),
                format!(
                    "`{name}` cannot be a tag: it is an operator of tag expressions (`-m \"not slow\"`)"
                ),
            ));
        }
        if self.tags.contains(&name) {
            return Err(Error::new(
                ident.span(),
                format!("the tag `{name}` stands here twice"),
            ));
        }
        self.tags.push(name);
        Ok(())
    }
}

/// One entry: `word` or `name = value`.
struct Entry {
    name: Ident,
    value: Option<Lit>,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(syn::Lit) {
            return Err(input.error(format!(
                "expected a tag (a bare word such as `slow`) or an option: {OPTIONS}"
            )));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse::<Lit>().map_err(|error| {
                Error::new(
                    error.span(),
                    format!("the value of `{name}` is a literal: {OPTIONS}"),
                )
            })?)
        } else {
            None
        };
        Ok(Self { name, value })
    }
}

/// A value that is written in quotes.
fn text(name: &Ident, value: Lit) -> Result<LitStr, Error> {
    match value {
        Lit::Str(text) => Ok(text),
        other => Err(Error::new(
            other.span(),
            format!("the value of `{name}` is a string literal: {OPTIONS}"),
        )),
    }
}

/// A positive number.
fn count(name: &Ident, value: Lit) -> Result<u64, Error> {
    let number = match &value {
        Lit::Int(number) => number.base10_parse().ok(),
        _ => None,
    };
    number.filter(|number| *number > 0).ok_or_else(|| {
        Error::new(
            value.span(),
            format!("the value of `{name}` is a number above zero, without quotes: {OPTIONS}"),
        )
    })
}

/// A size in units of 1024: one way to write it, and no doubt what it means.
fn bytes(value: &LitStr) -> Result<u64, Error> {
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
                    "`{text}` is not a size: write for example \"64KiB\", \"512MiB\" or \"2GiB\""
                ),
            )
        })
}

/// A duration that the system can count: its limit of CPU time is in seconds.
fn whole_seconds(value: &LitStr) -> Result<u64, Error> {
    let limit = duration(value)?;
    if limit.subsec_nanos() == 0 {
        Ok(limit.as_secs())
    } else {
        Err(Error::new(
            value.span(),
            "a limit of CPU time is in whole seconds, as the system counts it: write for example \"10s\" or \"1m\"",
        ))
    }
}

fn repeated(name: &Ident) -> Error {
    Error::new(
        name.span(),
        format!("the option `{name}` stands here twice"),
    )
}

fn duration(value: &LitStr) -> Result<Duration, Error> {
    let duration = humantime::parse_duration(&value.value()).map_err(|error| {
        Error::new(
            value.span(),
            format!(
                "`{}` is not a duration ({error}): write for example \"500ms\", \"10s\" or \"1m 30s\"",
                value.value()
            ),
        )
    })?;
    if duration.is_zero() {
        return Err(Error::new(
            value.span(),
            "a limit of zero would end the test before it begins: expected a positive duration",
        ));
    }
    Ok(duration)
}

fn clock(value: &LitStr) -> Result<Clock, Error> {
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
