//! Weight files whose bytes changed after publication.

use clarity_chaos::fault::{BitFlip, Fault, Garbage, Replace, Truncate};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::corruptions::{Corruptions, Specimen, Tally};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke};
use std::path::PathBuf;

/// Damages the weight file of the only version before the server starts. The version must be
/// refused, and the server must stay live.
async fn is_refused<F: Fault>(cx: &Context, fault: impl FnOnce(PathBuf) -> F) -> Result {
    let repository = Repository::with_model(cx)?;
    cx.inject(fault(repository.weights(MODEL, 1)))?.until_end();
    let served = Served::start(cx, &repository).await?;

    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable("model_corrupt");
    assert_eq!(served.client.get("/v2/health/live").await?.status, 200);
    served.shut_down().await
}

/// A weight file is overwritten with random bytes of the same length. The file must be refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn garbage_is_refused(cx: Context) -> Result {
    is_refused(&cx, Garbage::new).await
}

/// A block of eight bytes in a weight file is overwritten. The file must be refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn a_bad_block_is_refused(cx: Context) -> Result {
    is_refused(&cx, |weights| Garbage::new(weights).somewhere(8)).await
}

/// A copy was interrupted: the weight file is cut short at a random point. The file must be
/// refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn a_file_cut_short_is_refused(cx: Context) -> Result {
    is_refused(&cx, Truncate::new).await
}

/// A disk was full: the weight file exists, but is empty. The file must be refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn an_empty_file_is_refused(cx: Context) -> Result {
    is_refused(&cx, |weights| Truncate::new(weights).to(0)).await
}

/// The header of a weight file, its first eight bytes, is overwritten. The file must be refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn a_damaged_header_is_refused(cx: Context) -> Result {
    is_refused(&cx, |weights| Garbage::new(weights).at(0, 8)).await
}

/// The disk returns a block of a weight file as zeros. The file must be refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn a_zeroed_block_is_refused(cx: Context) -> Result {
    const BLOCK: usize = 64;
    let mut rng = cx.rng_for("block");
    // The zeroed block is aligned to its size, as on a disk. No block of this model contains only
    // zeros.
    let block = rng.random_range(0..MODEL_BYTES.len() / BLOCK) * BLOCK;
    let mut zeroed = MODEL_BYTES.to_vec();
    zeroed[block..block + BLOCK].fill(0);
    assert_ne!(zeroed, MODEL_BYTES);
    replacement_is_refused(&cx, &zeroed).await
}

/// Random bytes are appended to the weight file. The file must be refused, although it still
/// contains all published bytes.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn appended_bytes_are_refused(cx: Context) -> Result {
    let mut longer = MODEL_BYTES.to_vec();
    longer.extend(cx.rng_for("rest").random_iter::<u8>().take(100));
    replacement_is_refused(&cx, &longer).await
}

/// Replaces the content of the weight file with `bytes`. The file must be refused.
async fn replacement_is_refused(cx: &Context, bytes: &[u8]) -> Result {
    let other = cx.dir().join("other.onnx");
    std::fs::write(&other, bytes)?;
    is_refused(cx, |weights| Replace::new(weights, &other)).await
}

/// One bit of a weight file flips while the model is not loaded. Without verification, one in
/// sixteen such flips would result in a model that loads but answers wrongly. Every flip must be
/// refused.
#[chaos(corruption, non_destructive, clock = "manual")]
async fn one_flipped_bit_is_refused(cx: Context) -> Result {
    is_refused(&cx, BitFlip::new).await
}

/// Many times, one random bit of the weight file flips and is then repaired. While a bit is
/// flipped, the store must refuse the version. After the last repair, the store must open the
/// version.
#[chaos(corruption, non_destructive)]
fn one_flipped_bit_anywhere_is_refused(cx: Context) -> Result {
    const FLIPS: usize = 256;
    let repository = Repository::with_model(&cx)?;
    for _ in 0..FLIPS {
        let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?;
        let opened = repository.open_verified(MODEL, 1);
        assert!(opened.is_err(), "accepted with {}", flip.planned());
        flip.undo();
    }
    repository.open_verified(MODEL, 1)?;
    Ok(())
}

/// Hundreds of times, a random corruption of any kind damages one or two files of a version. Each
/// time, the version must either be refused or answer as before. (`tests/corruptions.rs` can run a
/// million such corruptions.)
#[chaos(corruption, non_destructive)]
fn hundreds_of_corruptions_give_no_wrong_answer(cx: Context) -> Result {
    const ROUNDS: u64 = 500;
    let mut rng = cx.rng();
    let activity = cole_kripke::activity(30, &mut rng);
    let specimens = [Specimen::new(MODEL, MODEL_BYTES.to_vec(), activity)?];
    let corruptions = Corruptions::of(&specimens, &cx.dir().join("models"))?;
    let mut tally = Tally::default();
    for _ in 0..ROUNDS {
        corruptions.try_one(&mut rng, &mut tally)?;
    }
    cx.measured(format!("{tally:?}"));
    assert_eq!(tally.refused + tally.harmless, ROUNDS);
    assert!(tally.refused > tally.harmless);
    assert!(corruptions.are_intact());
    Ok(())
}

/// Thousands of times, a random corruption damages the model or its manifest. Each time, the store
/// must either refuse the version or return the published bytes. The store must never crash.
#[chaos(corruption, slow, non_destructive, timeout = "120s")]
fn thousands_of_corruptions_let_no_other_bytes_through(cx: Context) -> Result {
    const ROUNDS: usize = 2_000;
    let repository = Repository::with_model(&cx)?;
    let mut rng = cx.rng();
    let (mut refused, mut passed) = (0, 0);
    for _ in 0..ROUNDS {
        let path = if rng.random() {
            repository.weights(MODEL, 1)
        } else {
            repository.manifest(MODEL, 1)
        };
        let damage = match rng.random_range(0..4) {
            0 => cx.inject(BitFlip::new(path))?.untyped(),
            1 => cx
                .inject(Garbage::new(path).somewhere(rng.random_range(1..64)))?
                .untyped(),
            2 => cx.inject(Truncate::new(path))?.untyped(),
            _ => cx.inject(Garbage::new(path))?.untyped(),
        };
        match repository.open_verified(MODEL, 1) {
            Err(_) => refused += 1,
            Ok(bytes) => {
                assert_eq!(bytes, MODEL_BYTES, "other bytes with {}", damage.planned());
                passed += 1;
            }
        }
        damage.undo();
    }
    // The number of harmless corruptions depends on the digits of the manifest's date.
    cx.measured(format!("{refused} refused, {passed} harmless"));
    assert!(refused > passed);
    Ok(())
}
