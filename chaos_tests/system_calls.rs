//! A disk that returns errors, is full, or returns only a few bytes for each read.

use clarity_chaos::explore::Errno;
use clarity_chaos::fault::{CallKind, FlipWhileRead, SystemCall};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos, sometimes};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke};
use std::ffi::OsString;
use std::fs;
use std::io;

/// The approximate number of system calls of one kind while a version is loaded.
const CALLS: u64 = 8;

/// One call that opens or reads a file fails during the load of a second version. The first or the
/// second version must answer. Once the disk works, the second version must answer.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_disk_that_cannot_be_read_for_a_moment_costs_no_answer(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let version = repository.publish_scaled(MODEL, 2.0)?;
    let kind = [CallKind::Open, CallKind::Read][cx.rng().random_range(0..2)];
    let errno = [Errno::EIO, Errno::EMFILE, Errno::EACCES][cx.rng().random_range(0..3)];
    let fault = SystemCall::new(repository.root(), kind).one_of_the_first(CALLS);
    let failing = cx.inject(fault.fails_with(errno))?;
    served.reload(MODEL).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    let answered = answer.member("model_version")?;
    let scale = if answered == "1" { 1.0 } else { 2.0 };
    cole_kripke::assert_right(&answer, &activity, scale)?;
    sometimes!(
        answered == "1",
        "a version is not loaded since the disk cannot be read"
    );

    failing.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    served.shut_down().await
}

/// Each read returns only a few bytes, and a signal interrupts one read. The version must be loaded
/// and verified as usual.
#[chaos(files, non_destructive, clock = "manual")]
async fn short_and_interrupted_reads_change_nothing(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let most = cx.rng().random_range(1..40);
    let reads = || SystemCall::new(repository.root(), CallKind::Read);
    let interrupted = reads().one_of_the_first(CALLS).fails_with(Errno::EINTR);
    let _interrupted = cx.inject(interrupted)?;
    let _short = cx.inject(reads().shortened_to(most))?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// One system call of a publication fails because the disk is full. The newest version that was
/// published completely must answer. Once space is free, publishing another version must succeed.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_full_disk_while_publishing_costs_nothing_that_was_there(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let kind = [
        CallKind::Open,
        CallKind::Write,
        CallKind::Sync,
        CallKind::Rename,
    ];
    let kind = kind[cx.rng().random_range(0..kind.len())];
    let fault = SystemCall::new(repository.root(), kind).one_of_the_first(3);
    let full = cx.inject(fault.fails_with(Errno::ENOSPC))?;
    let published = repository.publish_bytes(MODEL, MODEL_BYTES);
    full.undo();
    sometimes!(
        published.is_err(),
        "a version cannot be published since the disk is full"
    );
    served.reload(MODEL).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let newest = published.as_ref().map_or(1, |version| *version);
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(newest, false);

    assert_publishes_another(served, &repository, &activity).await
}

/// The disk has space for only a part of a version. That part must not be served. Once space is
/// free, another publication must succeed.
#[chaos(
    files,
    non_destructive,
    clock = "manual",
    seed_name = "system_calls::a_disk_that_fills_up_while_publishing_leaves_nothing_half_done"
)]
async fn a_disk_that_fills_up_while_publishing_leaves_no_debris(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let room = cx.rng().random_range(0..MODEL_BYTES.len() as u64);
    let writes = SystemCall::new(repository.root(), CallKind::Write);
    let full = cx.inject(writes.full_after(room))?;
    assert!(repository.publish_scaled(MODEL, 2.0).is_err());
    served.reload(MODEL).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);

    full.undo();
    assert_publishes_another(served, &repository, &activity).await
}

/// Every rename in the repository fails. A publication must return an error, and must leave no
/// files behind. The publication must not retry with other version numbers.
#[chaos(files, non_destructive)]
fn a_publication_that_cannot_be_put_in_its_place_says_so(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let renames = SystemCall::new(repository.root(), CallKind::Rename);
    let failing = cx.inject(renames.fails_with(Errno::EIO))?;
    assert!(repository.publish_scaled(MODEL, 2.0).is_err());
    assert_eq!(names(&repository)?, [MODEL]);
    assert_eq!(repository.next_version(MODEL)?, 2);
    failing.undo();
    assert_eq!(repository.publish_scaled(MODEL, 2.0)?, 2);
    Ok(())
}

/// The names in the root directory of the repository.
fn names(repository: &Repository) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(repository.root())?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// A bit of the weight file flips before one of the reads that load the file. If the bit flips
/// after it was read, the version must answer correctly. Otherwise the version must be refused. The
/// server must use only bytes that it has verified.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_file_that_changes_while_it_is_loaded_gives_no_wrong_answer(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    // Short reads load the file in pieces, so the bit can flip between two reads.
    let reads = SystemCall::new(repository.root(), CallKind::Read);
    let piece = MODEL_BYTES.len() as u64 / 8;
    let flip = FlipWhileRead::new(repository.weights(MODEL, 1)).before_one_of(9);
    let flip = cx.inject(flip)?;
    let _pieces = cx.inject(reads.shortened_to(piece))?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::recorded_and(20, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    if answer.status == 200 {
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    } else {
        answer.assert_unavailable("model_corrupt");
    }
    sometimes!(
        answer.status == 200,
        "the bit flips where it was read before"
    );
    sometimes!(answer.status == 503, "the bit flips before it is read");

    flip.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// Asserts that another version can be published and is served, then shuts down the server.
async fn assert_publishes_another(
    served: Served,
    repository: &Repository,
    activity: &[f32],
) -> Result {
    let version = repository.publish_scaled(MODEL, 2.0)?;
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, activity).await?;
    answer.assert_served_by(version, false);
    cole_kripke::assert_right(&answer, activity, 2.0)?;
    served.shut_down().await
}
