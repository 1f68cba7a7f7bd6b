//! The most memory that a verified load takes, in a process of its own.

use crate::loads::{self, Published};
use clarity::{OnnxRuntime, Runtime, Store, Version};
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::memory;
use clarity_benches::statistics::Spread;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

/// A load adds at most so many times the file. What the first load of any model takes, some 3 MB of code and threads, is not counted.
const OF_THE_FILE: f64 = 2.0;

/// Loads the model in a child, and compares what that adds to the child's peak with the file.
pub(crate) fn measure(model: &Published, size: u64) -> Result<Option<Line>, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("load")
        .arg(&model.models)
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let added: u64 = told.trim().parse().map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("the child told no number but {told:?}: {said}")
    })?;
    let file = fs::metadata(model.models.join("model/1/model.onnx"))?.len();
    Ok(Spread::of([added as f64 / file as f64]).map(|found| Line {
        what: format!("{size:>4} MiB: what the load adds to the peak memory of its process / file"),
        bound: Bound::AtMost(OF_THE_FILE),
        found,
    }))
}

/// What the child does: verifies and loads as the server does, and prints what that has added to its peak, in bytes.
pub(crate) fn load(models: &Path) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let small = loads::publish(folder.path(), 0)?;
    let first = OnnxRuntime::new().load(small.store.open(&small.name, Version::FIRST)?)?;
    black_box(first.inputs());
    let before = memory::peak(std::process::id())?;
    let version = Store::new(models).open(&"model".parse()?, Version::FIRST)?;
    let session = OnnxRuntime::new().load(version)?;
    black_box(session.inputs());
    println!("{}", memory::peak(std::process::id())? - before);
    Ok(())
}
