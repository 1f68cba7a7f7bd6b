//! Faults that are defined by this binary, not by the harness.

use clarity_chaos::fault::{Fault, FaultError, FaultGuard, Injection, Undo, UndoOutcome, UndoStep};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::rand_chacha::ChaCha8Rng;
use clarity_chaos::{Context, Result, chaos};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::PathBuf;

/// Rotates the bytes of a file to the left.
struct Rotate {
    path: PathBuf,
    /// Whether `apply` fails after it has rotated the file.
    gives_up: bool,
}

#[derive(Serialize, Deserialize)]
struct RotatePlan {
    /// The number of bytes to rotate by: at least 1, and less than the file's size.
    by: usize,
}

impl Rotate {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            gives_up: false,
        }
    }
}

impl Fault for Rotate {
    type Plan = RotatePlan;
    const KIND: &'static str = "rotate";

    fn describe(plan: &RotatePlan, target: &str) -> String {
        format!("{target} rotated by {} bytes", plan.by)
    }

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Result<RotatePlan, FaultError> {
        match fs::read(&self.path)?.len() {
            0..=1 => Err(FaultError::unfit("two bytes", "fewer")),
            size => Ok(RotatePlan {
                by: rng.random_range(1..size),
            }),
        }
    }

    fn apply(&self, plan: &RotatePlan, injection: &Injection) -> Result<Undo, FaultError> {
        let mut bytes = fs::read(&self.path)?;
        if plan.by >= bytes.len() {
            return Err(FaultError::unfit("more bytes", bytes.len().to_string()));
        }
        bytes.rotate_left(plan.by);
        injection.record(UndoStep::restore(&self.path)?)?;
        fs::write(&self.path, &bytes)?;
        if self.gives_up {
            return Err(FaultError::other("it gives up"));
        }
        injection.expect_unchanged(&self.path)?;
        Ok(Undo::steps())
    }
}

/// Creates a directory that an undo handler removes.
struct Mark {
    path: PathBuf,
    handler: &'static str,
}

#[derive(Serialize, Deserialize)]
struct MarkPlan {}

impl Fault for Mark {
    type Plan = MarkPlan;
    const KIND: &'static str = "mark";

    fn target(&self) -> String {
        self.path.display().to_string()
    }

    fn draw(&self, _rng: &mut ChaCha8Rng) -> Result<MarkPlan, FaultError> {
        Ok(MarkPlan {})
    }

    fn apply(&self, _plan: &MarkPlan, injection: &Injection) -> Result<Undo, FaultError> {
        injection.record(UndoStep::custom(self.handler, &self.path)?)?;
        fs::create_dir(&self.path)?;
        Ok(Undo::steps())
    }
}

const UNMARK: &str = "conformance.unmark";

fn unmark(path: PathBuf) -> Result<UndoOutcome> {
    fs::remove_dir(path)?;
    Ok(UndoOutcome::Restored)
}

clarity_chaos::undo_handler!(UNMARK, unmark);

/// The harness draws, applies and undoes faults that the test defines.
#[chaos]
fn undone(cx: Context) -> Result {
    let (path, mark) = (cx.dir().join("file"), cx.dir().join("mark"));
    fs::write(&path, "0123456789")?;
    let rotated = cx.inject(Rotate::new(&path))?;
    let by = rotated.plan().by;
    assert_eq!(rotated.planned().plan, serde_json::json!({ "by": by }));
    assert_eq!(fs::read(&path)?[0], b'0' + by as u8);
    assert_eq!(rotated.undo(), UndoOutcome::Restored);
    assert_eq!(fs::read(&path)?, b"0123456789");

    let rotated = cx.inject(Rotate::new(&path))?;
    fs::write(&path, "repaired")?;
    assert!(matches!(rotated.undo(), UndoOutcome::Superseded { .. }));
    assert_eq!(fs::read(&path)?, b"repaired");

    let (path, handler) = (mark.clone(), UNMARK);
    let marked = cx.inject(Mark { path, handler })?;
    assert!(mark.is_dir());
    assert_eq!(marked.undo(), UndoOutcome::Restored);
    assert!(!mark.exists());
    Ok(())
}

/// The file is restored if `apply` fails after it has damaged the file.
#[chaos]
fn given_up(cx: Context) -> Result {
    let path = cx.dir().join("file");
    fs::write(&path, "0123456789")?;
    let gives_up = Rotate {
        gives_up: true,
        ..Rotate::new(&path)
    };
    assert!(cx.inject(gives_up).is_err());
    assert_eq!(fs::read(&path)?, b"0123456789");
    Ok(())
}

/// An undo step without a registered handler is refused before the fault does any damage.
#[chaos]
fn without_a_handler(cx: Context) -> Result {
    let (path, handler) = (cx.dir().join("mark"), "conformance.unregistered");
    let refused = cx.inject(Mark {
        path: path.clone(),
        handler,
    });
    let error = refused.map(FaultGuard::until_end).unwrap_err().to_string();
    assert!(error.contains("no undo handler `conformance.unregistered`"));
    assert!(!path.exists());
    Ok(())
}

/// Fails if the fourth of seven files is rotated by at least 5 bytes.
#[chaos]
fn one_of_seven(cx: Context) -> Result {
    let file = |number: usize| -> Result<PathBuf> {
        let path = cx.dir().join(format!("file-{number}"));
        fs::write(&path, (0..100).collect::<Vec<u8>>())?;
        Ok(path)
    };
    let mut guards = Vec::new();
    for number in 0..7 {
        guards.push(cx.inject(Rotate::new(file(number)?))?);
    }
    assert!(fs::read(cx.dir().join("file-3"))?[0] < 5);
    Ok(())
}

fn outside() -> Result<PathBuf> {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    Ok(PathBuf::from(path))
}

fn kill_this_process() -> Result {
    use rustix::process::{Signal, getpid, kill_process};
    kill_process(getpid(), Signal::KILL)?;
    Err("this process was killed, and goes on".into())
}

/// Kills the test's own process while two custom faults are in effect outside the test's directory.
#[chaos]
fn in_effect_when_killed(cx: Context) -> Result {
    let path = outside()?;
    let mark = Mark {
        path: path.with_extension("mark"),
        handler: UNMARK,
    };
    let _rotated = cx.inject(Rotate::new(path))?;
    let _marked = cx.inject(mark)?;
    kill_this_process()
}

/// Writes the name of another binary's undo handler into the journal. Then kills the test's own
/// process.
#[chaos]
fn handler_of_another_binary(cx: Context) -> Result {
    let _marked = cx.inject(Mark {
        path: outside()?.with_extension("mark"),
        handler: UNMARK,
    })?;
    let journal = cx.dir().with_file_name("undo").join("1/journal.json");
    let text = fs::read_to_string(&journal)?;
    fs::write(&journal, text.replace(UNMARK, "elsewhere.unmark"))?;
    kill_this_process()
}

/// Hangs while a custom fault is in effect outside the test's directory.
#[chaos(timeout = "10min")]
fn hangs_with_a_mark(cx: Context) -> Result {
    let _marked = cx.inject(Mark {
        path: outside()?.with_extension("mark"),
        handler: UNMARK,
    })?;
    cx.note("marked");
    loop {
        std::thread::park();
    }
}
