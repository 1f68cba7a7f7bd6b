//! Runs models that another program sends through a pipe, and answers with their outputs.
//!
//! The checks of the runtimes use this program: they load thousands of models, one after the other,
//! in one process. Requests arrive on standard input, and answers leave on standard output, in the
//! same order: see [`frame`]. A model that crashes this process has no answer.
//!
//! A request names the runtime. The model is loaded as a server loads it, and run once on the
//! given inputs, which must fit the model's declaration. Outputs can contain NaN and infinities.
//!
//! `--list-claims` prints the claims of rten instead, one JSON object on each line.
//! With the feature `onnxruntime`, `--onnxruntime PATH` names the shared library of ONNX Runtime.

#![forbid(unsafe_code)]

mod elements;
mod frame;
mod inputs;
mod runner;
mod runtimes;

use std::io::{self, BufReader, BufWriter, Write};
use std::process::ExitCode;

use clarity::RtenRuntime;

use self::runner::Runner;
use self::runtimes::Runtimes;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => serve(Runtimes::new()),
        ["--onnxruntime", library] => Runtimes::with_library(library.as_ref()).and_then(serve),
        ["--list-claims"] => {
            let mut claims = RtenRuntime::list_claims().into_iter();
            claims.try_for_each(|claim| writeln!(io::stdout(), "{claim}"))
        }
        _ => Err(io::Error::other(format!(
            "expected --list-claims, --onnxruntime PATH or no arguments, found {arguments:?}"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("run_models: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests until standard input ends.
fn serve(runtimes: Runtimes) -> io::Result<()> {
    let mut requests = BufReader::new(io::stdin().lock());
    let mut answers = BufWriter::new(io::stdout().lock());
    let runner = Runner::new(runtimes)?;
    while let Some(request) = frame::read(&mut requests)? {
        let answer = runner.answer(request);
        frame::write(&mut answers, &answer)?;
        answers.flush()?;
    }
    Ok(())
}
