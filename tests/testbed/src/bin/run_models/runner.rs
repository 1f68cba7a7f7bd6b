//! Loads and runs the models of requests.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use clarity::{
    ModelName, RunError, RuntimeError, Session, Store, Tensor, TensorSpec, VerifiedVersion, Version,
};
use tempfile::TempDir;

use crate::elements;
use crate::frame::{Answer, Outcome, Request, RequestHeader, Stage, TensorHeader};
use crate::inputs::inputs;
use crate::runtimes::Runtimes;

/// The place of the latest panic in the source code.
static PANIC_PLACE: Mutex<String> = Mutex::new(String::new());

/// Loads models from a directory in memory, and runs them.
#[derive(Debug)]
pub(crate) struct Runner {
    runtimes: Runtimes,
    directory: TempDir,
    model: ModelName,
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
        match self.outputs(&request) {
            Ok((specs, outputs)) => answered(header, &specs, &outputs),
            Err(failure) => header.answer(failure.result, failure.stage, failure.why),
        }
    }

    fn outputs(&self, request: &Request) -> Result<(Vec<TensorSpec>, Vec<Tensor>), Failure> {
        let runtime = self
            .runtimes
            .find(&request.header)
            .map_err(Failure::of_load)?;
        let version = self.version(&request.model).map_err(Failure::of_load)?;
        let session = caught(Stage::Load, || runtime.load(version))?.map_err(Failure::at_load)?;
        let inputs = inputs(session.inputs(), &request.header.inputs, &request.inputs);
        let inputs = inputs.map_err(|why| Failure::new(Outcome::Refused, Stage::Run, why))?;
        let outputs = caught(Stage::Run, || session.run(inputs))?.map_err(Failure::at_run)?;
        check(&*session, &outputs)?;
        Ok((session.outputs().to_vec(), outputs))
    }

    fn version(&self, bytes: &[u8]) -> Result<VerifiedVersion, String> {
        let file = self.directory.path().join("model/1/model.onnx");
        fs::write(file, bytes).map_err(|error| error.to_string())?;
        let store = Store::new(self.directory.path());
        let version = store.open_unverified(&self.model, Version::FIRST);
        version.map_err(|error| error.to_string())
    }
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
            other => Self::new(Outcome::Refused, Stage::Load, other.to_string()),
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
