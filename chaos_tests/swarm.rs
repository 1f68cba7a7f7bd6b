//! Many faults at once, then none. The test checks safety during the faults, and liveness after
//! them.

use clarity_chaos::explore::Errno;
use clarity_chaos::fault::{
    BitFlip, CallKind, Delete, Displace, Extend, FaultError, FaultGuard, Garbage, InjectError,
    SystemCall, Truncate, WallClock, Zeros,
};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::rand::seq::SliceRandom as _;
use clarity_chaos::{Context, Result, chaos, sometimes};
use clarity_testbed::{MODEL, Repository, Response, Served, cole_kripke, scale_of};
use std::error::Error as _;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// The length of the storm of faults, in steps.
const STEPS: usize = 30;

/// The time limit of the recovery: twice the longest delay between two attempts to load a bad
/// version.
const BOUND: Duration = Duration::from_secs(120);

/// The raw number of [`Errno::EIO`].
const EIO: i32 = 5;

/// The refusal reasons that damaged or unreadable files can cause.
const TRUE_REASONS: [&str; 4] = [
    "model_corrupt",
    "model_missing",
    "model_unreadable",
    "unverified",
];

/// The kinds of faults that a storm can contain.
#[derive(Clone, Copy, Debug)]
enum StormFault {
    BitFlip,
    Garbage,
    Zeros,
    Truncate,
    Extend,
    Delete,
    Directory,
    FailedRead,
    FailedSync,
    Clock,
}

const KINDS: [StormFault; 10] = [
    StormFault::BitFlip,
    StormFault::Garbage,
    StormFault::Zeros,
    StormFault::Truncate,
    StormFault::Extend,
    StormFault::Delete,
    StormFault::Directory,
    StormFault::FailedRead,
    StormFault::FailedSync,
    StormFault::Clock,
];

/// For half an hour, faults of some kinds begin and end while versions are published. Each answer
/// must be right for the version that it names, or be a refusal with a true reason. Then all faults
/// end, and the newest version must answer within two minutes.
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
    let (mut injected, mut prevented) = (0, None);
    for _ in 0..STEPS {
        match rng.random_range(0..6) {
            0 => {
                // A failed publication can leave a complete version, but never a part of a version.
                // So the versions are counted again.
                let number = repository.next_version(MODEL)?;
                let _ = repository.publish_scaled(MODEL, scale_of(number)?);
                versions = repository.next_version(MODEL)? - 1;
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
                match inject(&cx, &repository, kind, path)? {
                    Ok(fault) => {
                        faults.push(fault);
                        injected += 1;
                    }
                    Err(error) => prevented = Some(error),
                }
            }
        }
        let seconds = rng.random_range(1..120);
        cx.clock().advance(Duration::from_secs(seconds)).await;
        assert_safe(&served, &activity, versions).await?;
    }
    if injected == 0 {
        // If this system supports none of the storm's faults, the error skips the test.
        return Err(prevented.ok_or("no fault was injected")?.into());
    }
    sometimes!(faults.len() > 3, "several faults are there at a time");

    drop(faults);
    let newest = repository.next_version(MODEL)? - 1;
    let mut waited = Duration::ZERO;
    loop {
        let answer = served.client.infer(MODEL, &activity).await?;
        if is_recovered(&answer, newest)? {
            cole_kripke::assert_right(&answer, &activity, scale_of(newest)?)?;
            break;
        }
        sometimes!(true, "the storm leaves something to recover from");
        assert!(waited < BOUND, "not recovered: {}", answer.body);
        waited += Duration::from_secs(1);
        cx.clock().advance(Duration::from_secs(1)).await;
    }
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);
    served.shut_down().await
}

/// Whether the newest version gave this answer, and the answer is not degraded.
fn is_recovered(answer: &Response, newest: u64) -> Result<bool> {
    if answer.status != 200 {
        return Ok(false);
    }
    let is_degraded = answer.json()["parameters"]["degraded"] == true;
    Ok(!is_degraded && answer.member("model_version")? == newest.to_string())
}

/// Asserts that the model gives a right answer, or a refusal with a true reason.
async fn assert_safe(served: &Served, activity: &[f32], versions: u64) -> Result {
    // The inference path answers with a loaded version. A refused version shows its reason only on
    // its own path.
    for version in 1..=versions {
        let path = format!("/v2/models/{MODEL}/versions/{version}/ready");
        let ready = served.client.get(&path).await?;
        if ready.status == 503 {
            assert_true_reason(&ready)?;
        } else {
            assert!(ready.status == 200 || ready.status == 404, "{}", ready.body);
        }
    }
    let answer = served.client.infer(MODEL, activity).await?;
    if answer.status == 200 {
        let version = answer.member("model_version")?.parse()?;
        return cole_kripke::assert_right(&answer, activity, scale_of(version)?);
    }
    assert_true_reason(&answer)?;
    assert_eq!(served.client.status("/v2/health/live").await?, 200);
    Ok(())
}

/// Asserts that a fault of the storm explains the reason of this refusal.
fn assert_true_reason(refusal: &Response) -> Result {
    let reason = refusal.member("reason")?;
    assert!(TRUE_REASONS.contains(&&*reason), "{}", refusal.body);
    refusal.assert_unavailable(&reason);
    Ok(())
}

/// Injects a fault. The inner error is expected: another fault of the storm prevents the injection,
/// or this system does not support the fault.
fn inject(
    cx: &Context,
    repository: &Repository,
    kind: StormFault,
    path: PathBuf,
) -> Result<Result<FaultGuard, InjectError>> {
    let calls = |kind, errno: Errno| {
        let some = SystemCall::new(repository.root(), kind).one_of_the_first(8);
        cx.inject(some.fails_with(errno))
    };
    let injected = match kind {
        StormFault::BitFlip => cx.inject(BitFlip::new(path)).map(FaultGuard::untyped),
        StormFault::Garbage => cx.inject(Garbage::new(path)).map(FaultGuard::untyped),
        StormFault::Zeros => cx.inject(Zeros::new(path)).map(FaultGuard::untyped),
        StormFault::Truncate => cx.inject(Truncate::new(path)).map(FaultGuard::untyped),
        StormFault::Extend => cx.inject(Extend::new(path)).map(FaultGuard::untyped),
        StormFault::Delete => cx.inject(Delete::new(path)).map(FaultGuard::untyped),
        StormFault::Directory => cx.inject(Displace::new(path)).map(FaultGuard::untyped),
        StormFault::FailedRead => calls(CallKind::Read, Errno::EIO).map(FaultGuard::untyped),
        StormFault::FailedSync => calls(CallKind::Sync, Errno::EIO).map(FaultGuard::untyped),
        StormFault::Clock => cx
            .inject(WallClock::new().within(Duration::from_secs(86_400)))
            .map(FaultGuard::untyped),
    };
    match injected {
        Err(error) if !is_expected(&error) => Err(error.into()),
        expected => Ok(expected),
    }
}

/// Whether the injection failed for an expected reason: another fault of the storm, or a fault that
/// this system does not support.
fn is_expected(error: &InjectError) -> bool {
    let reason = error.source().and_then(|reason| reason.downcast_ref());
    match reason {
        Some(FaultError::File { error, .. }) => {
            // Injections read files in this process, so the storm's failing reads make injections
            // fail, too.
            error.raw_os_error() == Some(EIO)
                || matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::AlreadyExists
                )
        }
        Some(FaultError::Unfit { .. } | FaultError::Unavailable(_)) => true,
        _ => false,
    }
}
