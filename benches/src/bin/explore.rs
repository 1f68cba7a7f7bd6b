//! Measures the cost of explorations: crash points and states of the disk per second, the delay of
//! a trapped system call, and the time of many unsynced writes.

use clarity_chaos::explore::PowerLoss;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The upper bound of the delay of a trapped system call that concerns no file of the exploration,
/// in microseconds.
const TRAP: f64 = 15.0;

/// The lower bound of the exploration's speed, in crash points or states of the disk per second.
const RATE: f64 = 1000.0;

/// The memory of a large test, in bytes.
const RESIDENT: usize = 64 << 20;

/// The upper bound of the time for [`APPENDS`] unsynced appends.
const APPENDING: Duration = Duration::from_secs(5);

const APPENDS: u8 = 100;

fn save(dir: &Path) -> Result {
    let mut draft = File::create(dir.join("draft"))?;
    for _ in 0..20 {
        draft.write_all(&[7; 512])?;
    }
    draft.sync_all()?;
    fs::rename(dir.join("draft"), dir.join("current"))?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

fn check_whole(dir: &Path) -> Result {
    let length = fs::read(dir.join("current"))?.len();
    assert!(length == 3 || length == 20 * 512);
    Ok(())
}

/// Measures the crash points per second. A file is saved with 20 writes, and read at each crash
/// point.
#[chaos(timeout = "10m")]
fn points(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), "old")?;
    let (mut rates, mut states) = (Vec::new(), 0);
    for _ in 0..7 {
        let began = Instant::now();
        let explored = cx.crash_everywhere(save, |dir, _| check_whole(dir))?;
        rates.push(explored.points as f64 / began.elapsed().as_secs_f64());
    }
    let began = Instant::now();
    let power = cx.explore().power_loss(PowerLoss::Posix);
    states += power
        .crash_everywhere(save, |dir, _| check_whole(dir))?
        .states;
    let per_second = states as f64 / began.elapsed().as_secs_f64();
    rates.sort_by(f64::total_cmp);
    let (median, holds) = (rates[3], verdict(rates[3] >= RATE));
    println!(
        "crash points: {median:.0} a second ({:.0} to {:.0}), at least {RATE}: {holds}",
        rates[0], rates[6]
    );
    let holds = verdict(per_second >= RATE);
    println!(
        "states after a loss of power: {states}, {per_second:.0} a second with the points that they \
         are of, at least {RATE}: {holds}"
    );
    Ok(())
}

/// Measures the time for many appends without a sync, with the default number of states.
#[chaos(timeout = "10m")]
fn appends(cx: Context) -> Result {
    let began = Instant::now();
    let explored = cx
        .explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(
            |dir| {
                let mut file = File::create(dir.join("log"))?;
                for number in 0..APPENDS {
                    file.write_all(&[number; 100])?;
                }
                Ok(())
            },
            |_, _| Ok(()),
        )?;
    let (took, states) = (began.elapsed(), explored.states);
    let holds = verdict(took <= APPENDING);
    println!(
        "{APPENDS} unsynced appends: {took:.1?} for {states} states, at most {APPENDING:?}: {holds}"
    );
    Ok(())
}

/// Measures the delay of a trapped system call. The test times writes to `/dev/null`, with and
/// without an exploration.
#[chaos(timeout = "10m")]
fn trap(cx: Context) -> Result {
    let nowhere = |_: &Path| Ok(File::options().write(true).open("/dev/null")?);
    let [median, least, most] = delay(&cx, &nowhere)?;
    let holds = verdict(median <= TRAP);
    println!(
        "a trapped call: {median:.1} µs more ({least:.1} to {most:.1}), at most {TRAP}: {holds}"
    );
    Ok(())
}

/// Measures the same with much memory in use.
#[chaos(timeout = "10m")]
fn trap_in_large_test(cx: Context) -> Result {
    let memory = vec![1_u8; RESIDENT];
    let nowhere = |_: &Path| Ok(File::options().write(true).open("/dev/null")?);
    let [median, least, most] = delay(&cx, &nowhere)?;
    let holds = verdict(median <= TRAP);
    println!(
        "a trapped call with {} MiB resident: {median:.1} µs more ({least:.1} to {most:.1}), at most \
         {TRAP}: {holds}",
        memory.len() >> 20
    );
    Ok(())
}

/// Measures the delay of a write in the explored directory.
#[chaos(timeout = "10m")]
fn trap_inside(cx: Context) -> Result {
    let inside = |dir: &Path| Ok(File::create(dir.join("written"))?);
    let [median, least, most] = delay(&cx, &inside)?;
    println!("a trapped call inside: {median:.1} µs more ({least:.1} to {most:.1})");
    Ok(())
}

/// Gives the median delay of a write to this file by an exploration, its minimum and its maximum,
/// in microseconds.
fn delay(cx: &Context, file: &(dyn Fn(&Path) -> Result<File> + Sync)) -> Result<[f64; 3]> {
    const CALLS: u32 = 2000;
    let write = |dir: &Path| -> Result<Duration> {
        let mut file = file(dir)?;
        let began = Instant::now();
        for _ in 0..CALLS {
            file.write_all(b"x")?;
        }
        Ok(began.elapsed())
    };
    let result = cx.dir().join("told");
    let mut longer = Vec::new();
    for _ in 0..7 {
        let alone = write(cx.dir())?;
        // The first run has all calls. Its time is kept, whether the exploration goes on or not.
        let _ = cx.explore().crash_everywhere(
            |dir| {
                fs::write(dir.join("file"), "")?;
                let duration = write(dir)?;
                if !result.exists() {
                    fs::write(&result, duration.as_nanos().to_string())?;
                }
                Ok(())
            },
            |_, _| Err("one check is enough".into()),
        );
        let trapped = fs::read_to_string(&result)?.parse::<f64>()? / 1000.0;
        fs::remove_file(&result)?;
        longer.push((trapped - alone.as_secs_f64() * 1e6) / f64::from(CALLS));
    }
    longer.sort_by(f64::total_cmp);
    Ok([longer[3], longer[0], longer[6]])
}

fn verdict(holds: bool) -> &'static str {
    match holds {
        true => "holds",
        false => "does not hold",
    }
}

clarity_chaos::main!();
