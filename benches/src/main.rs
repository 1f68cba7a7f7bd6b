//! Measures the chaos harness against its peers: the same empty tests, in every form, in one run.

mod build;
mod error;
mod forms;
mod nextest;
mod parts;
mod series;
mod summary;
mod tables;

use build::Binaries;
use clap::Parser;
use clarity_benches::machine;
use error::Error;
use forms::Form;
use series::Series;
use std::fs;
use std::process::ExitCode;

/// Where the harness leaves the record that the part `record` is measured with.
const RECORD: &str = "target/chaos/empty-COUNT/chaos/records/empty_00000.json";

/// Measures what a test costs that does nothing: as a chaos test, under libtest, libtest-mimic and nextest
///
/// Builds packages with 1,000 and 10,000 real, empty test functions, runs all forms in turn (A B C A B C …), and compares them round by round, so
/// that what slows the machine for a while slows all of them. A run counts only when its own summary says that all of its tests have passed.
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct Options {
    /// How many tests: 1000, 10000 or both
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10000], value_parser = size)]
    sizes: Vec<usize>,

    /// How many rounds count; one more goes before them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Build nextest into this workspace's target folder first, which takes some minutes
    #[arg(long)]
    install_nextest: bool,

    /// Leave out the cost of one case by parts
    #[arg(long)]
    no_parts: bool,
}

fn size(text: &str) -> Result<usize, String> {
    match text {
        "1000" => Ok(1000),
        "10000" => Ok(10000),
        _ => Err("expected 1000 or 10000: each has a package of its own".to_owned()),
    }
}

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), Error> {
    if options.install_nextest {
        nextest::install()?;
    }
    let nextest = nextest::find();
    if nextest.is_none() {
        println!("left out: nextest, which is not on this machine; --install-nextest builds it");
    }
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let mut built = Vec::new();
    for count in sizes {
        built.push(Binaries::build(count)?);
    }
    let sandbox = match built.first() {
        Some(binaries) => binaries.chaos_knows("--sandbox")?,
        None => false,
    };
    if !sandbox {
        println!("left out: the sandbox on and off; this harness does not know --sandbox");
    }
    machine::describe();
    let forms = Form::all(sandbox, nextest.clone());
    let measured = series::measure(&built, &forms, nextest.as_deref(), options.rounds)?;
    for series in &measured {
        tables::times(series);
        tables::ratios(series);
    }
    for pair in measured.windows(2) {
        tables::linearity(&pair[0], &pair[1]);
    }
    if let (false, Some(binaries)) = (options.no_parts, built.into_iter().next()) {
        one_case(binaries, sandbox, options.rounds)?;
    }
    machine::describe();
    Ok(())
}

/// What one case costs when one runs at a time, and its parts.
fn one_case(binaries: Binaries, sandbox: bool, rounds: u16) -> Result<(), Error> {
    let chaos = |arguments: &[&'static str]| {
        let mut all = vec!["--test-threads=1"];
        all.extend(arguments);
        Form::Chaos(all)
    };
    let mut forms = vec![
        Form::Mimic(vec!["--test-threads=1"]),
        if sandbox {
            chaos(&["--isolation=fork", "--sandbox=none"])
        } else {
            chaos(&["--isolation=fork"])
        },
    ];
    if sandbox {
        forms.push(chaos(&["--isolation=fork", "--sandbox=marked"]));
    }
    let count = binaries.count;
    let measured: Vec<Series> = series::measure(&[binaries], &forms, None, rounds)?;
    let path = build::root().join(RECORD.replace("COUNT", &count.to_string()));
    let record = fs::read(&path).map_err(|error| Error::file("read", &path, error))?;
    let folder = series::folder()?;
    let parts = parts::measure(folder.path(), &record)?;
    for series in &measured {
        tables::one_case(series, &parts);
    }
    Ok(())
}
