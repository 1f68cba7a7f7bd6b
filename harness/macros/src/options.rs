//! The arguments of `#[chaos(…)]`: tags and options.

mod value;

use self::value::{Value, bytes, clock, count, duration, path, seed_name, text, whole_seconds};
use proc_macro2::{Span, TokenStream};
use std::time::Duration;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Path, Token};

/// The name of each option, with an example.
const OPTIONS: [(&str, &str); 7] = [
    ("timeout", "timeout = \"10s\""),
    ("clock", "clock = \"real\" | \"paused\" | \"manual\""),
    ("memory", "memory = \"512MiB\""),
    ("open_files", "open_files = 64"),
    ("cpu", "cpu = \"10s\""),
    ("seed_name", "seed_name = \"module::old_name\""),
    ("crate", "crate = my_prelude::chaos"),
];

/// The operators of tag expressions (`-m "not slow and breaker"`). An operator cannot be a tag.
const RESERVED: [&str; 3] = ["and", "or", "not"];

/// The clock of a test. A sync test always has the real clock.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Clock {
    #[default]
    Real,
    Paused,
    Manual,
}

/// The parsed arguments of the attribute.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) tags: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    /// The memory limit, in bytes.
    pub(crate) memory: Option<u64>,
    pub(crate) open_files: Option<u64>,
    /// The limit of CPU time, in seconds.
    pub(crate) cpu: Option<u64>,
    pub(crate) clock: Clock,
    /// The span of the value of `clock`, for error messages.
    pub(crate) clock_span: Option<Span>,
    /// The name from which the seed is derived, if not the test's name.
    pub(crate) seed_name: Option<String>,
    /// The path to the harness, if not `::clarity_chaos`.
    pub(crate) crate_path: Option<Path>,
}

impl Options {
    /// Parses the attribute's tokens. Returns the valid options, and an error for each invalid
    /// option.
    pub(crate) fn parse(tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut options = Self::default();
        let mut problems = Vec::new();
        match Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(entries) => {
                for entry in entries {
                    if let Err(problem) = options.add(entry) {
                        problems.push(problem);
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
        (options, problems)
    }

    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        let Some(value) = entry.value else {
            return self.add_tag(&entry.name);
        };
        let name = &entry.name;
        match name.unraw().to_string().as_str() {
            "timeout" => set(&mut self.timeout, name, || duration(&text(name, value)?)),
            "memory" => set(&mut self.memory, name, || bytes(&text(name, value)?)),
            "open_files" => set(&mut self.open_files, name, || count(name, &value)),
            "cpu" => set(&mut self.cpu, name, || whole_seconds(&text(name, value)?)),
            "seed_name" => set(&mut self.seed_name, name, || seed_name(&text(name, value)?)),
            "crate" => set(&mut self.crate_path, name, || path(value)),
            "clock" => {
                let value = text(name, value)?;
                set(&mut self.clock_span, name, || Ok(value.span()))?;
                self.clock = clock(&value)?;
                Ok(())
            }
            other => Err(Error::new(
                name.span(),
                format!(
                    "unknown option `{other}`: expected {}. A word without a value is a tag",
                    all_options()
                ),
            )),
        }
    }

    fn add_tag(&mut self, ident: &Ident) -> Result<(), Error> {
        let name = ident.unraw().to_string();
        let refusal = if let Some(example) = example_of(&name) {
            format!("option `{name}` has no value: write `{example}`")
        } else if RESERVED.contains(&name.as_str()) {
            format!(
                "`{name}` cannot be a tag: it is an operator of tag expressions (`-m \"not slow\"`). Choose another word"
            )
        } else if self.tags.contains(&name) {
            format!("duplicate tag `{name}`: remove one")
        } else {
            self.tags.push(name);
            return Ok(());
        };
        Err(Error::new(ident.span(), refusal))
    }
}

/// Sets an option to the value that `parse` returns.
///
/// # Errors
///
/// When the option is already set, or `parse` returns an error.
fn set<T>(
    option: &mut Option<T>,
    name: &Ident,
    parse: impl FnOnce() -> Result<T, Error>,
) -> Result<(), Error> {
    if option.is_some() {
        return Err(Error::new(
            name.span(),
            format!("duplicate option `{name}`: remove one"),
        ));
    }
    *option = Some(parse()?);
    Ok(())
}

/// One argument of the attribute: `word` or `name = value`.
struct Entry {
    name: Ident,
    value: Option<Value>,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(syn::Lit) {
            return Err(input.error(format!(
                "expected a tag or an option, found a literal: write a tag without quotes, such as `slow`. The options are {}",
                all_options()
            )));
        }
        let name = input.call(Ident::parse_any)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(Value::parse(&name, input)?)
        } else {
            None
        };
        Ok(Self { name, value })
    }
}

/// Returns the example of the option `name`, or `None` if there is no such option.
fn example_of(name: &str) -> Option<&'static str> {
    OPTIONS
        .into_iter()
        .find_map(|(option, example)| (option == name).then_some(example))
}

/// Lists all options for an error message: "`timeout = "10s"`, … or `crate = my_prelude::chaos`".
fn all_options() -> String {
    let examples = OPTIONS.map(|(_, example)| format!("`{example}`"));
    let (last, rest) = examples
        .split_last()
        .expect("the list of options is a constant with several entries");
    format!("{} or {last}", rest.join(", "))
}
