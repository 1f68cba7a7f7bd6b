//! Measures the cost of explorations: crash points per second, and the delay of a trapped system
//! call.

use clarity_chaos::explore::PowerLoss;
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// The upper bound of the delay of a trapped system call, in microseconds.
const TRAP: f64 = 30.0;

/// The lower bound of the exploration's speed, in crash points per second.
const RATE: f64 = 300.0;

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
    println!(
        "states after a loss of power: {states}, {per_second:.0} a second with the points that they are of"
    );
    Ok(())
}

/// Measures the delay of a trapped system call. The test times writes to `/dev/null`, with and
/// without an exploration.
#[chaos(timeout = "10m")]
fn trap(cx: Context) -> Result {
    const CALLS: u32 = 20_000;
    let write = || -> Result<Duration> {
        let mut nowhere = File::options().write(true).open("/dev/null")?;
        let began = Instant::now();
        for _ in 0..CALLS {
            nowhere.write_all(b"x")?;
        }
        Ok(began.elapsed())
    };
    let result = cx.dir().join("told");
    let mut longer = Vec::new();
    for _ in 0..7 {
        let alone = write()?;
        cx.explore().crash_everywhere(
            |dir| {
                fs::write(dir.join("file"), "")?;
                let duration = write()?;
                fs::write(&result, duration.as_nanos().to_string())?;
                Ok(())
            },
            |_, _| Ok(()),
        )?;
        let trapped = fs::read_to_string(&result)?.parse::<f64>()? / 1000.0;
        longer.push((trapped - alone.as_secs_f64() * 1e6) / f64::from(CALLS));
    }
    longer.sort_by(f64::total_cmp);
    let holds = verdict(longer[3] <= TRAP);
    println!(
        "a trapped call: {:.1} µs more ({:.1} to {:.1}), at most {TRAP}: {holds}",
        longer[3], longer[0], longer[6]
    );
    Ok(())
}

fn verdict(holds: bool) -> &'static str {
    match holds {
        true => "holds",
        false => "does not hold",
    }
}

clarity_chaos::main!();
