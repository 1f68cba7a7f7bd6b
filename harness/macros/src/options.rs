//! What stands between the parentheses of `#[chaos(…)]`.

use proc_macro2::{Span, TokenStream};
use std::time::Duration;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Token};

/// The options that take a value, for the error that names them.
const OPTIONS: &str = "`timeout = \"10s\"` and `clock = \"real\" | \"paused\" | \"manual\"`";

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
        match name.as_str() {
            "timeout" if self.timeout.is_some() => Err(repeated(&entry.name)),
            "timeout" => {
                self.timeout = Some(duration(&value)?);
                Ok(())
            }
            "clock" if self.clock_span.is_some() => Err(repeated(&entry.name)),
            "clock" => {
                self.clock = clock(&value)?;
                self.clock_span = Some(value.span());
                Ok(())
            }
            other => Err(Error::new(
                entry.name.span(),
                format!(
                    "unknown option `{other}`: the options are {OPTIONS}; a word without a value is a tag"
                ),
            )),
        }
    }

    fn tag(&mut self, ident: &Ident, name: String) -> Result<(), Error> {
        if name == "timeout" || name == "clock" {
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

/// One entry: `word` or `name = "value"`.
struct Entry {
    name: Ident,
    value: Option<LitStr>,
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
            Some(input.parse::<LitStr>().map_err(|error| {
                Error::new(
                    error.span(),
                    format!("the value of `{name}` is a string literal: {OPTIONS}"),
                )
            })?)
        } else {
            None
        };
        Ok(Self { name, value })
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
            "a timeout of zero would end the test before it begins: expected a positive duration",
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
