//! Placeholders in the paths of a profile: `{package}` and `{target}`.
//!
//! All test targets of a workspace share the file of profiles. Without placeholders, they would
//! replace each other's reports.

/// The placeholders of paths.
const NAMES: [&str; 2] = ["package", "target"];

/// Returns an error for the first brace of `path` that does not belong to a placeholder.
pub(crate) fn check(path: &str) -> Result<(), String> {
    let mut rest = path;
    while let Some(start) = rest.find(['{', '}']) {
        let found = &rest[start..];
        let known = NAMES
            .iter()
            .map(|name| format!("{{{name}}}"))
            .find(|name| found.starts_with(name.as_str()));
        let Some(name) = known else {
            let end = found.find('}').map_or(found.len(), |end| end + 1);
            return Err(format!(
                "expected {{package}} or {{target}}, found `{}`",
                &found[..end]
            ));
        };
        rest = &found[name.len()..];
    }
    Ok(())
}

/// Replaces the placeholders of `path` by the names of the package and the target.
pub(crate) fn fill(path: &str, package: &str, target: &str) -> String {
    let values = [package, target];
    let names = NAMES.iter().zip(values);
    names.fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_replaces_each_known_placeholder() {
        let path = "out/{package}/{target}-{target}.xml";
        assert_eq!(check(path), Ok(()));
        assert_eq!(fill(path, "p", "t"), "out/p/t-t.xml");
    }

    #[test]
    fn check_names_the_first_unknown_placeholder() {
        for (path, found) in [
            ("{package}{pkg}", "`{pkg}`"),
            ("{", "`{`"),
            ("a}b", "`}`"),
            ("{{target}}", "`{{target}`"),
        ] {
            let error = check(path).unwrap_err();
            assert!(error.ends_with(found), "{error}");
        }
    }
}
