//! Safety first, then liveness: many faults at a time, and none.

use crate::support::{Answer, MODEL, Repository, Served, cole_kripke, scale_of};
use clarity_chaos::explore::Errno;
use clarity_chaos::fault::{
    BitFlip, CallKind, Delete, Displace, Extend, FaultGuard, Garbage, SystemCall, Truncate,
    WallClock, Zeros,
};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::rand::seq::SliceRandom as _;
use clarity_chaos::{Context, Result, chaos, sometimes};
use std::path::PathBuf;
use std::time::Duration;

/// How long the storm is, in steps.
const STEPS: usize = 30;

/// How long it may take until all is well again: twice the longest delay between two looks at a version that was bad.
const BOUND: Duration = Duration::from_secs(120);

/// The kinds of faults that a storm may have.
#[derive(Clone, Copy, Debug)]
enum Kind {
    BitFlip,
    Garbage,
    Zeros,
    Truncate,
    Extend,
    Delete,
    Folder,
    FailedRead,
    FailedSync,
    Clock,
}

const KINDS: [Kind; 10] = [
    Kind::BitFlip,
    Kind::Garbage,
    Kind::Zeros,
    Kind::Truncate,
    Kind::Extend,
    Kind::Delete,
    Kind::Folder,
    Kind::FailedRead,
    Kind::FailedSync,
    Kind::Clock,
];

/// Faults of some kinds, which the seed chooses, come and go for half an hour, while versions are published and a client asks: each answer must be right for the version that it names, or
/// an honest refusal. Then all faults end, and the newest version must answer within two minutes.
#[chaos(swarm, non_destructive, clock = "manual")]
async fn after_a_storm_of_faults_the_newest_version_answers(cx: Context) -> Result {
    let mut rng = cx.rng();
    let mut kinds = KINDS;
    kinds.shuffle(&mut rng);
    let kinds = &kinds[..rng.random_range(2..=5)];
    cx.note(format_args!("a storm of {kinds:?}"));

    let repository = Repository::with_model(&cx)?;
    let mut versions = 1;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut rng);
    let mut faults: Vec<FaultGuard> = Vec::new();
    for _ in 0..STEPS {
        match rng.random_range(0..6) {
            0 => {
                // A publication that fails leaves no version, or all of it.
                let number = repository.next(MODEL)?;
                let _ = repository.publish_scaled(MODEL, scale_of(number)?);
                versions = repository.next(MODEL)? - 1;
            }
            1 | 2 if !faults.is_empty() => {
                faults.swap_remove(rng.random_range(0..faults.len())).undo();
            }
            _ => {
                let version = rng.random_range(1..=versions);
                let path = match rng.random_bool(0.7) {
                    true => repository.weights(MODEL, version),
                    false => repository.manifest(MODEL, version),
                };
                let kind = kinds[rng.random_range(0..kinds.len())];
                // What is gone cannot be damaged as well.
                faults.extend(inject(&cx, &repository, kind, path));
            }
        }
        let seconds = rng.random_range(1..120);
        cx.clock().advance(Duration::from_secs(seconds)).await;
        is_safe(&served, &activity).await?;
    }
    sometimes!(faults.len() > 3, "several faults are there at a time");

    drop(faults);
    let newest = repository.next(MODEL)? - 1;
    let mut waited = Duration::ZERO;
    loop {
        let answer = served.client.infer(MODEL, &activity).await?;
        if is_recovered(&answer, newest)? {
            cole_kripke::assert_right(&answer, &activity, scale_of(newest)?)?;
            break;
        }
        sometimes!(true, "the storm leaves something to recover from");
        assert!(waited < BOUND, "not recovered: {}", answer.text);
        waited += Duration::from_secs(1);
        cx.clock().advance(Duration::from_secs(1)).await;
    }
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);
    served.shut_down().await
}

/// Whether the newest version answers, and has nothing to say against itself.
fn is_recovered(answer: &Answer, newest: u64) -> Result<bool> {
    if answer.status != 200 {
        return Ok(false);
    }
    let is_degraded = answer.json()?["parameters"]["degraded"] == true;
    Ok(!is_degraded && answer.member("model_version")? == newest.to_string())
}

/// A right answer, or an honest refusal.
async fn is_safe(served: &Served, activity: &[f32]) -> Result {
    let answer = served.client.infer(MODEL, activity).await?;
    if answer.status == 200 {
        let version = answer.member("model_version")?.parse()?;
        return cole_kripke::assert_right(&answer, activity, scale_of(version)?);
    }
    answer.assert_unavailable(&answer.member("reason")?);
    assert_eq!(served.client.status("/v2/health/live").await?, 200);
    Ok(())
}

fn inject(cx: &Context, repository: &Repository, kind: Kind, path: PathBuf) -> Option<FaultGuard> {
    let calls = |kind, errno: Errno| {
        let some = SystemCall::new(repository.root(), kind).one_of_the_first(8);
        cx.inject(some.fails_with(errno))
    };
    let injected = match kind {
        Kind::BitFlip => cx.inject(BitFlip::new(path)).map(FaultGuard::untyped),
        Kind::Garbage => cx.inject(Garbage::new(path)).map(FaultGuard::untyped),
        Kind::Zeros => cx.inject(Zeros::new(path)).map(FaultGuard::untyped),
        Kind::Truncate => cx.inject(Truncate::new(path)).map(FaultGuard::untyped),
        Kind::Extend => cx.inject(Extend::new(path)).map(FaultGuard::untyped),
        Kind::Delete => cx.inject(Delete::new(path)).map(FaultGuard::untyped),
        Kind::Folder => cx.inject(Displace::new(path)).map(FaultGuard::untyped),
        Kind::FailedRead => calls(CallKind::Read, Errno::EIO).map(FaultGuard::untyped),
        Kind::FailedSync => calls(CallKind::Sync, Errno::EIO).map(FaultGuard::untyped),
        Kind::Clock => cx
            .inject(WallClock::new().within(Duration::from_secs(86_400)))
            .map(FaultGuard::untyped),
    };
    injected.ok()
}
