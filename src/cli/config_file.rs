//! The configuration file of `clarity serve`: the command's flags, under the same names, in TOML.
//!
//! Settings of the file replace the defaults of the flags, so flags and environment variables
//! override the file. The file may set every flag except `--config`.

use std::collections::BTreeSet;
use std::path::Path;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, Command, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::serve::Serve;

/// The flag that names the file; the file must not contain this flag.
const FLAG: &str = "config";

/// One setting of the file.
#[derive(Debug, PartialEq)]
struct Setting {
    /// The name of the flag without the leading dashes.
    flag: String,
    values: Vec<String>,
    line: usize,
}

/// The command `serve`, with the settings of the file as defaults.
///
/// # Errors
///
/// When the file is unreadable or not TOML. Also when a setting is unknown or invalid. The error is
/// a sentence that names the file. It also names the line, if a single setting is invalid.
pub(super) fn with_file(serve: Command, path: &Path) -> Result<Command, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let settings = read(&text).map_err(|why| format!("{shown}: {why}"))?;
    let mut whole = serve.clone();
    for setting in &settings {
        let at = |why| format!("{shown}: line {}: {}: {why}", setting.line, setting.flag);
        let alone = set(serve.clone(), setting).map_err(at)?;
        parse(alone).map_err(at)?;
        whole = set(whole, setting).map_err(at)?;
    }
    let Err(why) = parse(whole.clone()).and_then(|serve| serve.check()) else {
        return Ok(whole);
    };
    // Finds a setting that is invalid on its own. If there is no such setting, only the combination
    // of the settings is invalid.
    let is_alone = |setting: &&Setting| {
        let alone = set(serve.clone(), setting).and_then(parse);
        alone.is_ok_and(|serve| serve.check().is_err())
    };
    match settings.iter().find(is_alone) {
        Some(setting) => Err(format!("{shown}: line {}: {why}", setting.line)),
        None => Err(format!("{shown}: {why}")),
    }
}

/// Parses an empty command line, so that only the settings of the file apply.
fn parse(serve: Command) -> Result<Serve, String> {
    // Environment variables are ignored here. They are validated later, with the command line.
    let names: Vec<_> = serve
        .get_arguments()
        .map(|arg| arg.get_id().clone())
        .collect();
    let serve = names.into_iter().fold(serve, |serve, name| {
        serve.mut_arg(name, |arg| arg.env(None::<&str>))
    });
    let matches = serve.try_get_matches_from(["serve"]);
    let parsed = matches.and_then(|matches| Serve::from_arg_matches(&matches));
    parsed.map_err(|error| explain(&error))
}

/// Formats the invalid value and the reason, without clap's advice about command lines.
fn explain(error: &clap::Error) -> String {
    let value = error.get(ContextKind::InvalidValue);
    let value = value.map(|value| format!("invalid value {:?}", value.to_string()));
    let possible = error.get(ContextKind::ValidValue);
    let possible = possible.map(|values| format!(", expected one of: {values}"));
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    match (error.kind(), value) {
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(value)) => {
            format!(
                "{value}{}{}",
                source.unwrap_or_default(),
                possible.unwrap_or_default()
            )
        }
        _ => error.to_string(),
    }
}

fn set(serve: Command, setting: &Setting) -> Result<Command, String> {
    let found = serve
        .get_arguments()
        .find(|arg| arg.get_long() == Some(&*setting.flag) && setting.flag != FLAG);
    let Some(arg) = found else {
        return Err("unknown setting (see clarity serve --help)".to_owned());
    };
    let takes_many = matches!(arg.get_action(), ArgAction::Append);
    if setting.values.len() != 1 && !takes_many {
        return Err(format!(
            "expected one value, found {}",
            setting.values.len()
        ));
    }
    let (name, values) = (arg.get_id().clone(), setting.values.clone());
    Ok(serve.mut_arg(name, |arg| arg.default_values(values)))
}

/// Parses the settings. A table only adds a prefix to names: `open` in the table `[breaker]` is the
/// flag `breaker-open`.
fn read(text: &str) -> Result<Vec<Setting>, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let mut settings = Vec::new();
    read_table(text, "", table.get_ref(), &mut settings)?;
    settings.sort_by_key(|setting| setting.line);
    let mut seen = BTreeSet::new();
    for Setting { flag, line, .. } in &settings {
        if !seen.insert(flag) {
            return Err(format!("line {line}: {flag} is set twice"));
        }
    }
    Ok(settings)
}

fn read_table(
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
    settings: &mut Vec<Setting>,
) -> Result<(), String> {
    for (key, value) in table {
        let flag = format!("{prefix}{}", key.get_ref().replace('_', "-"));
        let line = text[..key.span().start].matches('\n').count() + 1;
        match value.get_ref() {
            DeValue::Table(table) => read_table(text, &format!("{flag}-"), table, settings)?,
            _ => {
                let values = values(value).ok_or_else(|| {
                    format!("line {line}: {flag}: expected a string, a number, a boolean or a list of these")
                })?;
                settings.push(Setting { flag, values, line });
            }
        }
    }
    Ok(())
}

fn values(value: &Spanned<DeValue<'_>>) -> Option<Vec<String>> {
    match value.get_ref() {
        DeValue::Array(values) => values.iter().map(single).collect(),
        _ => Some(vec![single(value)?]),
    }
}

fn single(value: &Spanned<DeValue<'_>>) -> Option<String> {
    match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Some(number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
