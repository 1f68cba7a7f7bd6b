//! Suggests a known name for an unknown one.

/// The least Jaro–Winkler similarity of a suggested name to the wanted name. Equal names have the
/// similarity 1.
const SIMILAR: f64 = 0.8;

/// Returns ` (did you mean …?)` with the most similar name, or an empty string if no name is
/// similar.
pub(crate) fn suggestion<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}
