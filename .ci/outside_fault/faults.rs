//! A fault in a package of its own, written from the documentation of `clarity_chaos::fault::Fault` alone.

use clarity_chaos::fault::{Fault, FaultError, Injection, Undo, UndoOutcome, UndoStep};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::rand_chacha::ChaCha8Rng;
use clarity_chaos::{Context, Result, chaos};
use serde::{Deserialize, Serialize};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Two lines of a text file change places.
struct SwapLines {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct SwapLinesPlan {
    first: usize,
    second: usize,
}

impl Fault for SwapLines {
    type Plan = SwapLinesPlan;
    const KIND: &'static str = "swap_lines";

    fn describe(plan: &SwapLinesPlan, target: &str) -> String {
        format!("lines {} and {} of {target} swapped", plan.first, plan.second)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<SwapLinesPlan, FaultError> {
        let count = fs::read_to_string(&self.path)?.lines().count();
        if count < 2 {
            return Err(FaultError::unfit("two lines", count.to_string()));
        }
        let first = rng.random_range(0..count - 1);
        let second = rng.random_range(first + 1..count);
        Ok(SwapLinesPlan { first, second })
    }

    fn apply(&self, plan: &SwapLinesPlan, injection: &Injection) -> Result<Undo, FaultError> {
        let text = fs::read_to_string(&self.path)?;
        let mut lines: Vec<&str> = text.lines().collect();
        if plan.first.max(plan.second) >= lines.len() {
            return Err(FaultError::unfit("a longer file", format!("{} lines", lines.len())));
        }
        lines.swap(plan.first, plan.second);
        injection.record(UndoStep::restore(&self.path)?)?;
        fs::write(&self.path, lines.join("\n") + "\n")?;
        injection.expect_unchanged(&self.path)?;
        Ok(Undo::steps())
    }
}

/// A lock file that a custom step removes.
struct LockFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct LockFilePlan {}

impl Fault for LockFile {
    type Plan = LockFilePlan;
    const KIND: &'static str = "lock_file";

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<LockFilePlan, FaultError> {
        Ok(LockFilePlan {})
    }

    fn apply(&self, _plan: &LockFilePlan, injection: &Injection) -> Result<Undo, FaultError> {
        injection.record(UndoStep::custom("outside_fault.unlock", &self.path)?)?;
        fs::write(&self.path, "locked")?;
        Ok(Undo::steps())
    }
}

fn unlock(path: PathBuf) -> Result<UndoOutcome> {
    fs::remove_file(path)?;
    Ok(UndoOutcome::Restored)
}

clarity_chaos::undo_handler!("outside_fault.unlock", unlock);

/// The order of settings matters. Of five faults one is the cause of the failure.
#[chaos]
fn one_of_five(cx: Context) -> Result {
    let mut guards = Vec::new();
    for name in ["a", "b", "c", "d", "settings"] {
        let path = cx.dir().join(name);
        fs::write(&path, "0\n1\n2\n3\n")?;
        guards.push(cx.inject(SwapLines { path })?);
    }
    let settings = fs::read_to_string(cx.dir().join("settings"))?;
    match settings == "0\n1\n2\n3\n" {
        true => Ok(()),
        false => Err("the settings are out of order".into()),
    }
}

/// The test is killed with two faults in effect, outside of its directory.
#[chaos]
fn killed(cx: Context) -> Result {
    let directory = PathBuf::from(env::var("OUTSIDE_FAULT_DIR")?);
    let _swapped = cx.inject(SwapLines { path: directory.join("settings") })?;
    let _locked = cx.inject(LockFile { path: directory.join("lock") })?;
    let pid = std::process::id().to_string();
    Command::new("kill").args(["-KILL", &pid]).status()?;
    Err("the test was killed, and goes on".into())
}

clarity_chaos::main!();
