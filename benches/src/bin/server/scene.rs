//! The server with a healthy and a failing model, and the bare handler beside it.

use crate::child::Answering;
use crate::client::{Connection, post};
use clarity_benches::onnx;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A model that the repository has.
const MODEL: &str = "chaos_tests/models/cole_kripke/1";

/// What a model of one matrix takes.
const ROWS: usize = onnx::ROWS as usize;

/// A day of minutes.
const MINUTES: usize = 1440;

/// A model is loaded within this.
const LOADED: Duration = Duration::from_secs(60);

/// All that is asked while it is measured.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) server: Answering,
    pub(crate) bare: Answering,
    _folder: TempDir,
}

impl Scene {
    /// Starts both, waits until the models answer, and lets the breaker of one open.
    pub(crate) fn set(program: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let models = folder.path().join("models");
        publish(program, &models, "cole_kripke", &model())?;
        let failing = folder.path().join("failing.onnx");
        onnx::write(&failing, 0)?;
        publish(program, &models, "failing", &failing)?;
        let server = serve(program, &models)?;
        wait(&server, "cole_kripke")?;
        wait(&server, "failing")?;
        let rejection = folder.path().join("rejection");
        fs::write(&rejection, open(&server)?)?;
        let bare = Answering::start(
            Command::new(std::env::current_exe()?)
                .arg("bare")
                .arg(model())
                .arg(&rejection),
        )?;
        Ok(Self {
            server,
            bare,
            _folder: folder,
        })
    }
}

/// A file of the model.
pub(crate) fn model() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(MODEL).join("model.onnx")
}

/// Publishes a version as users do.
pub(crate) fn publish(
    program: &Path,
    models: &Path,
    name: &str,
    file: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut command = Command::new(program);
    command
        .args(["add", name])
        .arg(file)
        .arg("--models")
        .arg(models);
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Starts the server. Its breakers stay open for longer than any measurement.
pub(crate) fn serve(program: &Path, models: &Path) -> Result<Answering, Box<dyn Error>> {
    Answering::start(
        Command::new(program)
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--breaker-open", "1day"])
            .args(["--breaker-open-most", "1day", "--poll", "50ms"])
            .arg("--models")
            .arg(models),
    )
}

/// Waits until a model is ready, which it tells.
pub(crate) fn wait(server: &Answering, model: &str) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let mut connection = Connection::open(server.address)?;
    let request = crate::client::get(&format!("/v2/models/{model}/ready"));
    while connection.ask(&request)?.status != 200 {
        if began.elapsed() > LOADED {
            return Err(format!("{model} was not ready within {LOADED:?}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Makes the model `failing` fail until its breaker is open; gives the body of the rejection.
fn open(server: &Answering) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut connection = Connection::open(server.address)?;
    // More than the model can add: its answer is infinite.
    let request = post("/v2/models/failing/infer", &body("x", &["3e38"; ROWS]));
    for _ in 0..100 {
        let answer = connection.ask(&request)?;
        let (_, body) = connection.parts(&answer);
        let text = String::from_utf8_lossy(body);
        if text.contains("circuit_open") {
            return Ok(body.to_vec());
        }
        if answer.status != 503 {
            return Err(format!("expected a failure, found {}: {text}", answer.status).into());
        }
    }
    Err("the breaker did not open".into())
}

/// The request of a day for a model at this path.
pub(crate) fn day(path: &str) -> Vec<u8> {
    let values: Vec<String> = (0..MINUTES)
        .map(|minute| (minute * 7 % 400).to_string())
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    post(path, &body("activity", &values))
}

/// A good request for the model `failing`, at this path.
pub(crate) fn row(path: &str) -> Vec<u8> {
    post(path, &body("x", &["1"; ROWS]))
}

fn body(input: &str, values: &[&str]) -> String {
    let (count, data) = (values.len(), values.join(","));
    format!(
        r#"{{"inputs":[{{"name":"{input}","datatype":"FP32","shape":[1,{count}],"data":[{data}]}}]}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_request_of_the_protocol() {
        let json: serde_json::Value = serde_json::from_str(&body("x", &["1", "3e38"])).unwrap();
        assert_eq!(json["inputs"][0]["shape"], serde_json::json!([1, 2]));
        assert_eq!(json["inputs"][0]["data"][1], 3e38);
    }
}
