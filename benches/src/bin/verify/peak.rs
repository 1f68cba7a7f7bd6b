//! Measures the peak memory of loading a model with verification, in a separate process.

use crate::loads::{self, Published};
use clarity::{RtenRuntime, Runtime, Store, Version};
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::memory;
use clarity_benches::statistics::Spread;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

/// The upper bound of the memory that loading a model needs, as a multiple of the file's size.
//
// The bound does not include the first load of any model in a process. That load takes some 3 MB
// for code and threads.
const OF_THE_FILE: f64 = 2.0;

/// Loads the model in a child process. Compares the growth of the child's peak memory with the
/// file's size.
pub(crate) fn measure(model: &Published, size: u64) -> Result<Option<Line>, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("load")
        .arg(&model.models)
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let added: u64 = printed.trim().parse().map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the child printed {printed:?}, expected a number: {errors}")
    })?;
    let file = fs::metadata(model.models.join("model/1/model.onnx"))?.len();
    Ok(Spread::of([added as f64 / file as f64]).map(|found| Line {
        quantity: format!("{size:>4} MiB: growth of the peak memory by the load / file"),
        bound: Bound::AtMost(OF_THE_FILE),
        found,
    }))
}

/// Runs in the child process: verifies and loads the model in `models` as the server does. Prints
/// the growth of the child's peak memory in bytes.
pub(crate) fn load(models: &Path) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let small = loads::publish(directory.path(), 0)?;
    let first = RtenRuntime::new().load(small.store.open(&small.name, Version::FIRST)?)?;
    black_box(first.inputs());
    let before = memory::peak(std::process::id())?;
    let version = Store::new(models).open(&"model".parse()?, Version::FIRST)?;
    let session = RtenRuntime::new().load(version)?;
    black_box(session.inputs());
    println!("{}", memory::peak(std::process::id())? - before);
    Ok(())
}
