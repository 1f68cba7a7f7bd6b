//! The READMEs and the guide show programs, commands, options and pages that exist.

use clarity_chaos_conformance::Suite;
use std::fs;
use std::path::{Path, PathBuf};

const FIRST: &str = include_str!("../src/first/main.rs");

/// Returns the directory of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// Returns the path and text of each page of the documentation: the READMEs and the guide.
fn pages() -> Vec<(PathBuf, String)> {
    let mut directories = vec![root().join("harness/guide")];
    let mut files = vec![root().join("README.md"), root().join("harness/README.md")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => files.push(path),
            }
        }
    }
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    files
        .into_iter()
        .map(|path| (path.clone(), text(&path)))
        .collect()
}

/// Returns a page's code blocks in the language `language`.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

#[test]
fn first_chaos_test_of_the_readmes_passes() {
    let (_title, program) = FIRST.split_once("\n\n").unwrap();
    assert_eq!(blocks(&read("harness/README.md"), "rust"), [program]);
    let readme = read("README.md");
    let [part] = blocks(&readme, "rust")[..] else {
        panic!("README.md has another number of Rust blocks");
    };
    assert!(program.contains(part), "README.md shows another test");

    let ran = Suite::new(env!("CARGO_BIN_EXE_first"), "exec").run(["--seed", "42"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 2);
    assert!(ran.records.values().all(|record| record.faults.len() == 1));
}

#[test]
fn options_in_the_pages_are_in_the_help() {
    let help = Suite::new(env!("CARGO_BIN_EXE_first"), "exec")
        .run(["--help"])
        .stdout;
    let mut found = 0;
    for (page, text) in pages() {
        let commands = text
            .lines()
            .filter_map(|line| line.split_once("--test chaos -- "));
        let words = commands.flat_map(|(_, given)| given.split(' '));
        for option in words.filter(|word| word.starts_with("--")) {
            let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
            let name = option.split(is_end).next().unwrap_or(option);
            assert!(
                help.contains(name),
                "{}: --help does not know {name}",
                page.display()
            );
            found += 1;
        }
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for variable in words.filter(|word| word.len() > "CHAOS_".len()) {
            assert!(
                !variable.starts_with("CHAOS_") || help.contains(&format!("[env: {variable}=")),
                "{}: no option has {variable}",
                page.display()
            );
        }
    }
    assert!(found > 25, "{found} options");
}

#[test]
fn links_of_the_readmes_lead_to_files() {
    let mut found = 0;
    for page in ["README.md", "harness/README.md", "src/README.md"] {
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|l| l.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            let file = root().join(page).with_file_name(link);
            assert!(file.exists(), "{page}: {link} does not exist");
            found += 1;
        }
    }
    assert!(found > 15, "{found} links");
}
