//! The first chaos test of the README passes, and the options that the README names exist.

use clarity_chaos_conformance::Suite;
use std::fs;
use std::path::Path;

const README: &str = include_str!("../../../README.md");
const CI_GUIDE: &str = include_str!("../../guide/ci.md");
const FIRST: &str = include_str!("../src/first/main.rs");

#[test]
fn first_chaos_test_of_the_readme_passes() {
    let (_title, example) = FIRST.split_once("\n\n").unwrap();
    assert!(
        README.contains(&format!("```rust\n{example}```")),
        "the README shows another test"
    );
    let ran = Suite::new(env!("CARGO_BIN_EXE_first"), "exec").run(["--seed", "42"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 2);
    assert!(ran.records.values().all(|record| record.faults.len() == 1));
}

#[test]
fn options_and_links_of_the_readme_exist() {
    let help = Suite::new(env!("CARGO_BIN_EXE_first"), "exec")
        .run(["--help"])
        .stdout;
    let is_separator = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let words = README
        .split(is_separator)
        .chain(CI_GUIDE.split(is_separator));
    let commands = README
        .lines()
        .filter(|line| line.contains("--test chaos -- "));
    let given = commands.flat_map(|line| {
        line.split("--test chaos -- ")
            .nth(1)
            .unwrap_or_default()
            .split(' ')
    });
    let options: Vec<&str> = given.filter(|word| word.starts_with("--")).collect();
    assert!(options.len() > 10, "{options:?}");
    for option in options {
        let name = option
            .split('=')
            .next()
            .unwrap_or(option)
            .trim_end_matches(['`', ',', ')']);
        assert!(help.contains(name), "--help does not know {name}");
    }
    let variables = words.filter(|word| word.starts_with("CHAOS_") && word.len() > "CHAOS_".len());
    let variables: Vec<&str> = variables.collect();
    assert!(!variables.is_empty(), "README and guide name no variable");
    for variable in variables {
        assert!(
            help.contains(&format!("[env: {variable}=")),
            "no option has {variable}"
        );
    }
    assert!(Path::new("../../harness/guide/ten_minutes.md").exists());
    let links = README
        .split("](harness/")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links: Vec<&str> = links.collect();
    assert!(!links.is_empty(), "the README has no link to the harness");
    for link in links {
        assert!(
            fs::exists(format!("../{link}")).unwrap(),
            "harness/{link} does not exist"
        );
    }
}
