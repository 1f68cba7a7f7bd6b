//! Measures the chaos harness and its peers with the same empty tests.

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

/// The path of the record that the measurement of the part `record` parses. `COUNT` stands for the
/// number of tests.
const RECORD: &str = "target/chaos/empty-COUNT/chaos/records/empty_00000.json";

/// Measures the cost of an empty test under the chaos harness, libtest, libtest-mimic and nextest
///
/// Builds packages with 1,000 and 10,000 real, empty test functions. A form is one way to run
/// these tests, such as libtest. Each round runs every form once. Results are compared within a
/// round, because other programs slow all forms of a round alike. A run counts only when its own
/// summary says that all of its tests passed.
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct Options {
    /// The number of tests: 1000, 10000 or both
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 10000], value_parser = size)]
    sizes: Vec<usize>,

    /// The number of measured rounds; one more warms up
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Build nextest into this workspace's target directory first, which takes some minutes
    #[arg(long)]
    install_nextest: bool,

    /// Do not measure the parts of the cost of one case
    #[arg(long)]
    no_parts: bool,
}

fn size(text: &str) -> Result<usize, String> {
    match text {
        "1000" => Ok(1000),
        "10000" => Ok(10000),
        _ => Err("expected 1000 or 10000: each has its own package".to_owned()),
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
        println!("left out: nextest, which is not installed; --install-nextest builds it");
    }
    let mut sizes = options.sizes.clone();
    sizes.sort_unstable();
    sizes.dedup();
    let mut built = Vec::new();
    for count in sizes {
        built.push(Binaries::build(count)?);
    }
    let sandbox = match built.first() {
        Some(binaries) => binaries.chaos_has_flag("--sandbox")?,
        None => false,
    };
    if !sandbox {
        println!("left out: the sandbox on and off; this harness has no --sandbox");
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

/// Measures the cost of one case and of its parts. The cases run one at a time.
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
    let directory = series::directory()?;
    let parts = parts::measure(directory.path(), &record)?;
    for series in &measured {
        tables::one_case(series, &parts);
    }
    Ok(())
}
