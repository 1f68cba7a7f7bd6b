//! Starts the measured servers: our server with a healthy and a failing model, and the bare
//! handler.

use crate::child::Answering;
use crate::client::{Connection, post};
use clarity_benches::onnx;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The directory of the healthy model's version, relative to the root of this Git repository.
const MODEL: &str = "chaos_tests/models/cole_kripke/1";

/// The input length of the failing model, whose only operator is a matrix product.
const ROWS: usize = onnx::ROWS as usize;

/// The number of minutes in a day.
const MINUTES: usize = 1440;

/// The timeout for loading a model.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The measured servers.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) server: Answering,
    pub(crate) bare: Answering,
    _directory: TempDir,
}

impl Scene {
    /// Starts the server and the bare handler. Waits until both models are ready, and opens the
    /// failing model's breaker.
    pub(crate) fn set(program: &Path) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let models = directory.path().join("models");
        publish(program, &models, "cole_kripke", &model())?;
        let failing = directory.path().join("failing.onnx");
        onnx::write(&failing, 0)?;
        publish(program, &models, "failing", &failing)?;
        let server = serve(program, &models)?;
        wait(&server, "cole_kripke")?;
        wait(&server, "failing")?;
        let rejection = directory.path().join("rejection");
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
            _directory: directory,
        })
    }
}

/// Returns the path of the healthy model's file.
pub(crate) fn model() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(MODEL).join("model.onnx")
}

/// Publishes a model file as a new version, with the command `add` of the server's binary.
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

/// Starts the server. Its breakers stay open for a day, longer than any measurement.
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

/// Waits until the server reports a model as ready, at most 60 s.
pub(crate) fn wait(server: &Answering, model: &str) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let mut connection = Connection::open(server.address)?;
    let request = crate::client::get(&format!("/v2/models/{model}/ready"));
    while connection.ask(&request)?.status != 200 {
        if began.elapsed() > LOAD_TIMEOUT {
            return Err(format!("{model} was not ready within {LOAD_TIMEOUT:?}").into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Makes the model `failing` fail until its breaker opens. Returns the body of the rejection.
fn open(server: &Answering) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut connection = Connection::open(server.address)?;
    // The sum of the products exceeds the range of 32-bit floats. The infinite output counts as a
    // failure.
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

/// Returns a request to `path`, with one input value for each minute of a day.
pub(crate) fn day(path: &str) -> Vec<u8> {
    let values: Vec<String> = (0..MINUTES)
        .map(|minute| (minute * 7 % 400).to_string())
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    post(path, &body("activity", &values))
}

/// Returns a request to `path` that is valid for the model `failing`.
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
    fn body_is_a_request_of_the_protocol() {
        let json: serde_json::Value = serde_json::from_str(&body("x", &["1", "3e38"])).unwrap();
        assert_eq!(json["inputs"][0]["shape"], serde_json::json!([1, 2]));
        assert_eq!(json["inputs"][0]["data"][1], 3e38);
    }
}
