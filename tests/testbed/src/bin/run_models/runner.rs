//! Loads and runs the models of requests.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clarity::{
    ModelName, RunError, RuntimeError, Session, Store, Tensor, TensorSpec, VerifiedVersion, Version,
};
use tempfile::TempDir;

use crate::elements;
use crate::frame::{Answer, Outcome, Request, RequestHeader, Stage, TensorHeader};
use crate::inputs::inputs;
use crate::runtimes::{Runtimes, rten};

/// The place of the latest panic in the source code.
static PANIC_PLACE: Mutex<String> = Mutex::new(String::new());

/// Loads models from a directory in memory, and runs them.
#[derive(Debug)]
pub(crate) struct Runner {
    runtimes: Runtimes,
    directory: TempDir,
    model: ModelName,
}

/// A loaded model.
struct Loaded {
    session: Box<dyn Session>,
    /// The name of its runtime.
    runtime: String,
    /// The lines of the claims that cover its nodes.
    claims: Vec<usize>,
}

/// The reason why a request has no outputs.
struct Failure {
    result: Outcome,
    stage: Stage,
    why: String,
}

impl Runner {
    /// From now on, a panic prints nothing: its place is a part of the answer.
    pub(crate) fn new(runtimes: Runtimes) -> io::Result<Self> {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string);
            *PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
        }));
        let memory = Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory)?,
            false => tempfile::tempdir()?,
        };
        fs::create_dir_all(directory.path().join("model/1"))?;
        let model = "model".parse().map_err(io::Error::other)?;
        Ok(Self {
            runtimes,
            directory,
            model,
        })
    }

    /// Loads and runs the model of a request.
    pub(crate) fn answer(&self, request: Request) -> Answer {
        let header = &request.header;
        let loaded = match self.load(&request) {
            Ok(loaded) => loaded,
            Err(failure) => return header.answer(failure.result, failure.stage, failure.why),
        };
        let mut answer = match run(&*loaded.session, &request) {
            Ok((outputs, durations)) => {
                let mut answer = answered(header, loaded.session.outputs(), &outputs);
                answer.header.durations = durations;
                answer
            }
            Err(failure) => header.answer(failure.result, failure.stage, failure.why),
        };
        answer.header.runtime = loaded.runtime;
        answer.header.claims = loaded.claims;
        answer
    }

    /// Loads a model with the first candidate of the runtime that does not refuse it, as a server
    /// does.
    fn load(&self, request: &Request) -> Result<Loaded, Failure> {
        let header = &request.header;
        let runtime = self.runtimes.find(header).map_err(Failure::of_load)?;
        let candidates = match runtime.candidates() {
            [] => std::slice::from_ref(&runtime),
            candidates => candidates,
        };
        let mut refused = Failure::of_load("the runtime has no candidates".to_owned());
        for candidate in candidates {
            let version = self.version(&request.model).map_err(Failure::of_load)?;
            let loaded = caught(Stage::Load, || candidate.load(version));
            match loaded.and_then(|loaded| loaded.map_err(Failure::at_load)) {
                Ok(session) => {
                    let runtime = candidate.id().name;
                    let claims = match &*runtime {
                        "rten" => rten(header).lines_of_claims(&request.model),
                        _ => Ok(Vec::new()),
                    };
                    return Ok(Loaded {
                        session,
                        runtime,
                        claims: claims.map_err(Failure::at_load)?,
                    });
                }
                Err(failure) => refused = failure,
            }
        }
        Err(refused)
    }

    fn version(&self, bytes: &[u8]) -> Result<VerifiedVersion, String> {
        let file = self.directory.path().join("model/1/model.onnx");
        fs::write(file, bytes).map_err(|error| error.to_string())?;
        let store = Store::new(self.directory.path());
        let version = store.open_unverified(&self.model, Version::FIRST);
        version.map_err(|error| error.to_string())
    }
}

/// Runs a loaded model on the inputs of a request. Returns the outputs of the first run, and the
/// durations of the repeated ones.
fn run(session: &dyn Session, request: &Request) -> Result<(Vec<Tensor>, Vec<u64>), Failure> {
    let header = &request.header;
    let inputs = inputs(session.inputs(), &header.inputs, &request.inputs);
    let inputs = inputs.map_err(|why| Failure::new(Outcome::Refused, Stage::Run, why))?;
    let run = |inputs| caught(Stage::Run, || session.run(inputs))?.map_err(Failure::at_run);
    let outputs = run(inputs.clone())?;
    check(session, &outputs)?;
    let mut durations = Vec::with_capacity(header.repeats);
    for _ in 0..header.repeats {
        let inputs = inputs.clone();
        let begin = Instant::now();
        run(inputs)?;
        durations.push(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    Ok((outputs, durations))
}

/// Runs `work`, and turns a panic into a failure of `stage`.
fn caught<T>(stage: Stage, work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let why = with_place(message(&*payload));
        Failure::new(Outcome::Panicked, stage, why)
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message")
}

fn with_place(message: &str) -> String {
    let place = PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner);
    format!("{message} ({place})")
}

/// Checks that the outputs have the declared datatypes and ranks, as a server does.
fn check(session: &dyn Session, outputs: &[Tensor]) -> Result<(), Failure> {
    let specs = session.outputs();
    let failed = |why| Err(Failure::new(Outcome::Failed, Stage::Run, why));
    if specs.len() != outputs.len() {
        return failed(format!(
            "expected {} outputs, found {}",
            specs.len(),
            outputs.len()
        ));
    }
    for (spec, output) in specs.iter().zip(outputs) {
        if spec.datatype != output.datatype() {
            let (expected, found) = (spec.datatype, output.datatype());
            return failed(format!(
                "output {}: expected {expected}, found {found}",
                spec.name
            ));
        }
        let rank = spec.shape.as_ref().map(Vec::len);
        if let Some(expected) = rank.filter(|rank| *rank != output.shape().len()) {
            let found = output.shape().len();
            return failed(format!(
                "output {}: expected {expected} dimensions, found {found}",
                spec.name
            ));
        }
    }
    Ok(())
}

/// An answer with outputs.
fn answered(header: &RequestHeader, specs: &[TensorSpec], outputs: &[Tensor]) -> Answer {
    let mut answer = header.answer(Outcome::Answered, Stage::Run, String::new());
    for (spec, output) in specs.iter().zip(outputs) {
        let bytes = match elements::encode(output.data()) {
            Ok(bytes) => bytes,
            Err(why) => return header.answer(Outcome::Failed, Stage::Run, why),
        };
        answer.header.outputs.push(TensorHeader {
            name: spec.name.clone(),
            datatype: output.datatype().as_str().to_owned(),
            shape: output.shape().to_vec(),
            bytes: bytes.len() as u64,
        });
        answer.outputs.push(bytes);
    }
    answer
}

impl Failure {
    fn new(result: Outcome, stage: Stage, why: String) -> Self {
        Self { result, stage, why }
    }

    fn of_load(why: String) -> Self {
        Self::new(Outcome::Failed, Stage::Load, why)
    }

    fn at_load(error: RuntimeError) -> Self {
        match error {
            RuntimeError::Panicked(why) => {
                Self::new(Outcome::Panicked, Stage::Load, with_place(&why))
            }
            other => {
                let stage = match other {
                    RuntimeError::Unclaimed { .. }
                    | RuntimeError::Random(_)
                    | RuntimeError::Excepted { .. } => Stage::Claims,
                    _ => Stage::Load,
                };
                Self::new(Outcome::Refused, stage, other.to_string())
            }
        }
    }

    fn at_run(error: RunError) -> Self {
        let result = match &error {
            RunError::Refused { .. } => Outcome::Refused,
            RunError::Panicked(_) => Outcome::Panicked,
            _ => Outcome::Failed,
        };
        Self::new(result, Stage::Run, error.to_string())
    }
}
