use super::*;

#[test]
fn claims_of_rten_are_readable() {
    let claims = Claims::parse(include_str!("rten.claims")).unwrap();
    assert!(claims.by_operator.len() > 100);
    let lines = include_str!("rten.claims").lines().count();
    assert!(lines <= 600, "{lines}");
}

/// Prints the result of the check for each file that the environment variable names.
#[test]
#[ignore = "reads files of this machine"]
fn claims_check_files() {
    for path in std::env::var("CLAIMS_FILES").unwrap().lines() {
        let model = std::fs::read(path).unwrap();
        let checked = crate::OnnxRuntime::new().lines_of_claims(&model);
        match checked {
            Ok(_) => println!("OK {path}"),
            Err(error) => println!("NO {path}: {error}"),
        }
    }
}
