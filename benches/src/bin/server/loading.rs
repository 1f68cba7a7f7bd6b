//! Measures the latency of one model while the server loads another model, of 100 MB.

use crate::child::Answering;
use crate::client::{Connection, ask_for, get, p99};
use crate::scene::{day, model, publish, serve, wait};
use clarity_benches::{memory, onnx};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The approximate size of the large model, in bytes.
const SIZE: u64 = 100_000_000;

/// The duration of the measurement while the server loads no model.
const IDLE: Duration = Duration::from_secs(2);

/// The timeout for loading the large model.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// The measurements of one load of the large model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loading {
    /// The p99 latency of the small model while the server loads no model, in seconds.
    pub(crate) idle: f64,
    /// The p99 latency of the small model during the load, in seconds.
    ///
    /// The load starts when the large model's directory is moved into the server's model directory.
    /// The load ends when the server reports the large model as ready.
    pub(crate) busy: f64,
    /// The duration of the load, in seconds.
    pub(crate) took: f64,
    /// The growth of the server's peak memory during the load, divided by the size of the large
    /// model's file.
    pub(crate) memory: f64,
}

/// Loads the large model several times, each time into a new server.
pub(crate) fn measure(program: &Path, loads: u16) -> Result<Vec<Loading>, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let large = directory.path().join("model.onnx");
    onnx::write(&large, SIZE)?;
    let size = fs::metadata(&large)?.len();
    let (models, staging) = (
        directory.path().join("models"),
        directory.path().join("staging"),
    );
    publish(program, &models, "cole_kripke", &model())?;
    publish(program, &staging, "large", &large)?;
    let mut measured = Vec::new();
    for _ in 0..loads {
        let server = serve(program, &models)?;
        wait(&server, "cole_kripke")?;
        measured.push(one(
            &server,
            &staging.join("large"),
            &models.join("large"),
            size,
        )?);
        fs::rename(models.join("large"), staging.join("large"))?;
    }
    Ok(measured)
}

fn one(server: &Answering, from: &Path, to: &Path, size: u64) -> Result<Loading, Box<dyn Error>> {
    let request = day("/v2/models/cole_kripke/infer");
    let mut connection = Connection::open(server.address)?;
    let idle = p99(ask_for(&mut connection, &request, 200, IDLE)?);
    let before = memory::peak(server.id())?;
    let loaded = AtomicBool::new(false);
    let began = Instant::now();
    fs::rename(from, to)?;
    let (busy, took) = thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let mut times = Vec::new();
            while !loaded.load(Ordering::Acquire) && began.elapsed() < LOAD_TIMEOUT {
                let more = ask_for(&mut connection, &request, 200, Duration::from_millis(5));
                times.extend(more.map_err(|error| error.to_string())?);
            }
            Ok::<_, String>(times)
        });
        let ready = until_ready(server, began);
        loaded.store(true, Ordering::Release);
        let times = clients.join().expect("a client does not panic")?;
        Ok::<_, Box<dyn Error>>((p99(times), ready?))
    })?;
    let added = memory::peak(server.id())? - before;
    Ok(Loading {
        idle: idle.as_secs_f64(),
        busy: busy.as_secs_f64(),
        took: took.as_secs_f64(),
        memory: added as f64 / size as f64,
    })
}

fn until_ready(server: &Answering, began: Instant) -> Result<Duration, Box<dyn Error>> {
    let mut connection = Connection::open(server.address)?;
    let request = get("/v2/models/large/ready");
    while connection.ask(&request)?.status != 200 {
        if began.elapsed() > LOAD_TIMEOUT {
            return Err(format!("the model was not loaded within {LOAD_TIMEOUT:?}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(began.elapsed())
}
