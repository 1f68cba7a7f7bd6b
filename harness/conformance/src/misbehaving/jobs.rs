//! Tests that Ctrl-Z stops.

use clarity_chaos::fault::Pause;
use clarity_chaos::process::Process;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The state of a process, from `/proc`.
fn state(process: &Process) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("no state")?;
    Ok(rest.chars().next().ok_or("no state")?)
}

/// Writes to a file in its directory until another file exists there. So does a child process in a
/// session of its own. A third process is paused the whole time.
#[chaos(timeout = "15s")]
fn writes_until_the_end(cx: Context) -> Result {
    let paused = cx.spawn("paused", Command::new("sleep").arg("1000"))?;
    let pause = cx.inject(Pause::new(&paused))?;
    write(&cx)?;
    assert_eq!(state(&paused)?, 'T', "the paused process was continued");
    pause.undo();
    Ok(())
}

/// Writes in the same way, without a paused process.
// On a thread of the runner, such a process is in the process group that a shell continues.
#[chaos(timeout = "15s")]
fn writes_beside_a_child(cx: Context) -> Result {
    write(&cx)
}

fn write(cx: &Context) -> Result {
    let (file, end) = (cx.dir().join("lines"), cx.dir().join("end"));
    let script = "while :; do echo child >>\"$0\"; sleep 0.01; done";
    let mut writer = Command::new("setsid");
    writer.args(["sh", "-c", script]).arg(&file);
    let _writer = cx.spawn("writer", &mut writer)?;
    while !end.exists() {
        let mut file = OpenOptions::new().append(true).create(true).open(&file)?;
        writeln!(file, "test")?;
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits for a real deadline that passes while the test is stopped.
#[chaos(timeout = "15s")]
fn has_a_deadline(cx: Context) -> Result {
    let began = Instant::now();
    cx.note("waiting for the deadline");
    while began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    Err("the deadline is over".into())
}
