//! Parses the file of profiles. Checks names and types; the command line checks the values.

use super::keys::{KEYS, Key, NOT_IN_PROFILES, SettingType};
use super::placeholders;
use super::position::{PlacedError, Position};
use crate::runner::suggestion::suggestion;
use crate::runner::tag_expr::TagExpr;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name of the profile that all other profiles inherit.
pub(crate) const DEFAULT: &str = "default";

/// The profiles of a file, by name.
#[derive(Debug)]
pub(crate) struct ProfileFile {
    profiles: BTreeMap<String, Profile>,
}

/// A profile of the file.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// The profile whose settings this one inherits, and the place of its name. Without it, the
    /// profile inherits the default profile.
    inherits: Option<(String, Position)>,
    /// The settings for the run, and for each test that has no other setting.
    pub(crate) settings: Vec<Setting>,
    /// The settings for some tests, in the order of the file.
    pub(crate) overrides: Vec<Override>,
}

/// The settings for the tests whose tags satisfy an expression.
#[derive(Debug)]
pub(crate) struct Override {
    pub(crate) filter: TagExpr,
    /// The expression as in the file.
    pub(crate) filter_text: String,
    pub(crate) settings: Vec<Setting>,
}

/// A setting with its value as text, as on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) key: &'static Key,
    pub(crate) value: String,
    /// The place of the value.
    pub(crate) position: Position,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl ProfileFile {
    /// Parses the text of a file.
    ///
    /// # Errors
    ///
    /// At the first place that is not as expected: the syntax, a name, a type, an expression, a
    /// placeholder, or a profile to inherit.
    pub(crate) fn parse(text: &str) -> Result<Self, PlacedError> {
        let table = DeTable::parse(text).map_err(|error| syntax_error(text, &error))?;
        ProfileParser { text }.file(table.get_ref())
    }

    /// Returns the profile `name`, the profile that it inherits, and so on. The last one is the
    /// default profile.
    ///
    /// # Errors
    ///
    /// When the file has no such profile. The error has no place.
    pub(crate) fn chain(&self, name: &str) -> Result<Vec<(&str, &Profile)>, String> {
        let Some((name, profile)) = self.profiles.get_key_value(name) else {
            let names = || self.profiles.keys().map(String::as_str);
            let known: Vec<&str> = names().collect();
            return Err(format!(
                "there is no profile `{name}`{}; the profiles are: {}",
                suggestion(name, names()),
                known.join(", ")
            ));
        };
        let mut chain = vec![(name.as_str(), profile)];
        while let Some((name, profile)) = self.parent(chain[chain.len() - 1]) {
            // `parse` refuses circles. This check only keeps a mistake there from an endless loop.
            if chain.len() > self.profiles.len() {
                return Err("the profiles inherit each other in a circle".to_owned());
            }
            chain.push((name, profile));
        }
        Ok(chain)
    }

    fn parent(&self, (name, profile): (&str, &Profile)) -> Option<(&str, &Profile)> {
        if name == DEFAULT {
            return None;
        }
        let inherits = profile.inherits.as_ref();
        let parent = inherits.map_or(DEFAULT, |(name, _)| name);
        let (name, profile) = self.profiles.get_key_value(parent)?;
        Some((name, profile))
    }

    /// Returns all profiles.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    fn check_inheritance(&self) -> Result<(), PlacedError> {
        for (name, profile) in &self.profiles {
            let Some((parent, position)) = &profile.inherits else {
                continue;
            };
            let error = |text| Err(PlacedError::new(*position, text));
            if !self.profiles.contains_key(parent) {
                let names = self.profiles.keys().map(String::as_str);
                return error(format!(
                    "inherits: expected a profile of this file, found `{parent}`{}",
                    suggestion(parent, names)
                ));
            }
            if self.chain(name).is_err() {
                return error(format!(
                    "inherits: expected no circle, found that `{name}` inherits itself or a circle"
                ));
            }
        }
        Ok(())
    }
}

struct ProfileParser<'i> {
    text: &'i str,
}

impl ProfileParser<'_> {
    fn place<T>(&self, spanned: &Spanned<T>) -> Position {
        Position::new(self.text, spanned.span().start)
    }

    fn file(&self, table: &DeTable<'_>) -> Result<ProfileFile, PlacedError> {
        let mut profiles = BTreeMap::from([(DEFAULT.to_owned(), Profile::default())]);
        for (key, value) in table {
            if key.get_ref() != "profile" {
                let text = format!("expected `profile`, found `{}`", key.get_ref());
                return Err(PlacedError::new(self.place(key), text));
            }
            for (name, profile) in self.table("profile", value)? {
                let name = name.get_ref().to_string();
                let profile = self.profile(&name, self.table(&name, profile)?)?;
                profiles.insert(name, profile);
            }
        }
        let file = ProfileFile { profiles };
        file.check_inheritance()?;
        Ok(file)
    }

    fn profile(&self, name: &str, table: &DeTable<'_>) -> Result<Profile, PlacedError> {
        let mut profile = Profile::default();
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "inherits" if name == DEFAULT => {
                    let text = "inherits: every profile inherits `default`, which inherits none";
                    return Err(PlacedError::new(self.place(key), text));
                }
                "inherits" => {
                    let parent = self.string("inherits", value)?.to_owned();
                    profile.inherits = Some((parent, self.place(value)));
                }
                "overrides" => profile.overrides = self.overrides(key, value)?,
                _ => profile.settings.push(self.setting(key, value, false)?),
            }
        }
        Ok(profile)
    }

    fn overrides(
        &self,
        key: &Spanned<impl AsRef<str>>,
        value: &Value<'_>,
    ) -> Result<Vec<Override>, PlacedError> {
        let Some(array) = value.get_ref().as_array() else {
            return Err(self.unexpected(key.get_ref().as_ref(), "an array of tables", value));
        };
        let overrides = array.iter().map(|value| {
            let table = self.table("overrides", value)?;
            let (mut filter, mut settings) = (None, Vec::new());
            for (key, value) in table {
                if key.get_ref() == "filter" {
                    let text = self.string("filter", value)?;
                    let parsed = text.parse::<TagExpr>().map_err(|error| {
                        PlacedError::new(self.place(value), format!("filter: {error}"))
                    })?;
                    filter = Some((parsed, text.to_owned()));
                } else {
                    settings.push(self.setting(key, value, true)?);
                }
            }
            let Some((filter, filter_text)) = filter else {
                let text = "overrides: expected a `filter` such as \"slow and not model\"";
                return Err(PlacedError::new(self.place(value), text));
            };
            Ok(Override {
                filter,
                filter_text,
                settings,
            })
        });
        overrides.collect()
    }

    fn setting(
        &self,
        name: &Spanned<impl AsRef<str>>,
        value: &Value<'_>,
        is_override: bool,
    ) -> Result<Setting, PlacedError> {
        let place = self.place(name);
        let name = name.get_ref().as_ref();
        let error = |text| Err(PlacedError::new(place, text));
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            if NOT_IN_PROFILES.contains(&name) {
                return error(format!(
                    "`{name}` belongs on the command line, and not in a profile"
                ));
            }
            let names = || KEYS.iter().map(|key| key.name);
            let mut hint = suggestion(name, names());
            if hint.is_empty() {
                let all: Vec<&str> = names().collect();
                hint = format!("; the settings are: {}", all.join(", "));
            }
            return error(format!("expected a setting, found `{name}`{hint}"));
        };
        if is_override && !key.is_per_test {
            let per_test = KEYS.iter().filter(|key| key.is_per_test);
            let per_test: Vec<&str> = per_test.map(|key| key.name).collect();
            return error(format!(
                "`{name}` holds for the whole run, so no override sets it; overrides set: {}",
                per_test.join(", ")
            ));
        }
        Ok(Setting {
            key,
            value: self.value(key, value)?,
            position: self.place(value),
        })
    }

    /// Returns the value as text, if it has the type of `key`.
    fn value(&self, key: &Key, value: &Value<'_>) -> Result<String, PlacedError> {
        match key.value_type {
            SettingType::Text => self.string(key.name, value).map(ToOwned::to_owned),
            SettingType::Path => {
                let path = self.string(key.name, value)?;
                placeholders::check(path).map_err(|error| {
                    PlacedError::new(self.place(value), format!("{}: {error}", key.name))
                })?;
                Ok(path.to_owned())
            }
            SettingType::Number(least) => {
                let number = value.get_ref().as_integer().and_then(|number| {
                    let digits = number.as_str();
                    u64::from_str_radix(digits, number.radix()).ok()
                });
                match number {
                    Some(number) if number >= least => Ok(number.to_string()),
                    _ => {
                        let expected = format!("an integer from {least} on");
                        Err(self.unexpected(key.name, &expected, value))
                    }
                }
            }
            SettingType::Flag => match value.get_ref().as_bool() {
                Some(flag) => Ok(flag.to_string()),
                None => Err(self.unexpected(key.name, "a boolean", value)),
            },
        }
    }

    fn string<'a>(&self, name: &str, value: &'a Value<'_>) -> Result<&'a str, PlacedError> {
        let string = value.get_ref().as_str();
        string.ok_or_else(|| self.unexpected(name, "a string", value))
    }

    fn table<'a, 'v>(
        &self,
        name: &str,
        value: &'a Value<'v>,
    ) -> Result<&'a DeTable<'v>, PlacedError> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.unexpected(name, "a table", value))
    }

    fn unexpected(&self, name: &str, expected: &str, value: &Value<'_>) -> PlacedError {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("the string `{}`", first_line(text)),
            DeValue::Integer(number) => format!("the integer `{number}`"),
            DeValue::Float(number) => format!("the float `{number}`"),
            DeValue::Boolean(flag) => format!("the boolean `{flag}`"),
            DeValue::Datetime(time) => format!("the time `{time}`"),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        let text = format!("{name}: expected {expected}, found {found}");
        PlacedError::new(self.place(value), text)
    }
}

/// Describes a text that is no TOML.
fn syntax_error(text: &str, error: &toml::de::Error) -> PlacedError {
    let span = error.span().unwrap_or(text.len()..text.len());
    let found = text.get(span.clone()).map(first_line).unwrap_or_default();
    let found = match found {
        "" if span.start >= text.len() => ", found the end of the file".to_owned(),
        "" => ", found the end of the line".to_owned(),
        found => format!(", found `{found}`"),
    };
    let message = format!("{}{found}", error.message());
    PlacedError::new(Position::new(text, span.start), message)
}

/// Returns the first line of `text`, at most 60 characters of it.
fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    line.char_indices()
        .nth(60)
        .map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        # Umlauts: ä ö ü
        [profile.default]
        timeout = "1m"
        history = "ä/{package}/{target}"

        [profile.ci]
        retries = 0x2
        verbose = true

        [[profile.ci.overrides]]
        filter = "slow and (model or größer)"
        timeout = "5m"

        [profile."with space"]
        inherits = "ci"
    "#;

    #[test]
    fn chain_ends_with_the_default_profile() {
        let file = ProfileFile::parse(TEXT).unwrap();
        let names = |name| {
            let chain = file.chain(name).unwrap();
            chain
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("default"), ["default"]);
        assert_eq!(names("ci"), ["ci", "default"]);
        assert_eq!(names("with space"), ["with space", "ci", "default"]);
        assert!(file.chain("other").is_err());
        let empty = ProfileFile::parse("").unwrap();
        assert_eq!(empty.chain(DEFAULT).unwrap().len(), 1);
    }

    #[test]
    fn integer_of_another_base_is_a_decimal_value() {
        let file = ProfileFile::parse(TEXT).unwrap();
        let ci = file.chain("ci").unwrap()[0].1;
        let retries = ci.settings.iter().find(|one| one.key.name == "retries");
        assert_eq!(retries.unwrap().value, "2");
    }

    #[test]
    fn each_damaged_file_is_parsed_or_refused_with_a_place() {
        let lines = TEXT.lines().count();
        let ends = TEXT.char_indices().map(|(end, _)| end);
        for end in ends {
            for damaged in [
                TEXT[..end].to_owned(),
                format!("{}={}", &TEXT[..end], &TEXT[end..]),
            ] {
                if let Err(error) = ProfileFile::parse(&damaged) {
                    let error = error.to_string();
                    let line = error.split(':').next().unwrap().parse::<usize>().unwrap();
                    assert!((1..=lines).contains(&line), "{error}: {damaged}");
                }
            }
        }
    }
}
