//! Settings for the tools of sandboxed tests that write next to their sources.
//!
//! A snapshot tool that finds a difference may write the new snapshot before it reports the
//! difference. The sandbox forbids that, and the test would fail with the refusal instead.
// Among the sources of insta and trybuild, those of insta write new snapshots without a request.
// trybuild writes if the user sets `TRYBUILD=overwrite`.

use std::env;
use std::ffi::OsStr;

/// The variables and their values. A variable is set only if none of its rivals has a value.
const SETTINGS: [(&str, &str, &[&str]); 1] = [(
    "INSTA_UPDATE",
    "no",
    &[
        "INSTA_UPDATE",
        "INSTA_FORCE_UPDATE",
        "INSTA_FORCE_UPDATE_SNAPSHOTS",
    ],
)];

/// Gives the variables that sandboxed tests need, except those that the user has set.
pub(crate) fn tool_settings() -> impl Iterator<Item = (&'static str, &'static OsStr)> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let settings = SETTINGS.into_iter();
    settings
        .filter(move |(_, _, rivals)| !rivals.iter().any(&is_set))
        .map(|(name, value, _)| (name, OsStr::new(value)))
}
