//! Versions whose manifest is damaged, or does not match the weight file.

use clarity_chaos::fault::{BitFlip, Garbage, Replace, Truncate};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke};
use std::fs;

/// The weight file is replaced by another model of the same size, with other weights. The other
/// model could be loaded, and could answer. Only its digest differs from the manifest. The version
/// must be refused.
#[chaos(checksum, non_destructive, clock = "manual")]
async fn another_model_of_the_same_size_is_refused(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let weights = repository.weights(MODEL, 1);
    let other = cx.dir().join("other.onnx");
    fs::write(&other, cole_kripke::scaled(&fs::read(&weights)?, 2.0)?)?;
    assert_eq!(fs::metadata(&other)?.len(), fs::metadata(&weights)?.len());

    let replaced = cx.inject(Replace::new(&weights, &other))?;
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let refused = served.client.infer(MODEL, &activity).await?;
    refused.assert_unavailable("model_corrupt");

    // The same bytes are served under their own manifest, so only the digest caused the refusal.
    let second = repository.publish_bytes(MODEL, &fs::read(&other)?)?;
    assert_eq!(second, 2);
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 2.0)?;
    replaced.undo();
    served.shut_down().await
}

/// The manifest of a version is overwritten with random bytes. The version must be refused.
#[chaos(checksum, non_destructive, clock = "manual")]
async fn a_manifest_of_garbage_is_refused(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    cx.inject(Garbage::new(repository.manifest(MODEL, 1)))?
        .until_end();
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable("model_corrupt");
    served.shut_down().await
}

/// A version's manifest is cut short at a random byte. The version must be refused, unless only the
/// final newline is missing. In that case, the manifest is still complete, and the answer must be
/// right.
#[chaos(checksum, non_destructive, clock = "manual")]
async fn a_manifest_cut_short_is_refused(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let manifest = repository.manifest(MODEL, 1);
    let text = fs::read(&manifest)?;
    cx.inject(Truncate::new(&manifest))?.until_end();
    let is_complete = fs::read(&manifest)? == text.trim_ascii_end();
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    if is_complete {
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    } else {
        answer.assert_unavailable("model_corrupt");
    }
    served.shut_down().await
}

/// One bit of the weights flips on disk. The store must refuse the version. After the bit is
/// restored, the store must open the version.
#[chaos(checksum, non_destructive)]
fn a_flipped_bit_never_leaves_the_store(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let flip = cx.inject(BitFlip::new(repository.weights(MODEL, 1)))?;
    let error = repository.open_verified(MODEL, 1).unwrap_err();
    assert!(error.to_string().contains("SHA-256"), "{error}");
    flip.undo();
    assert_eq!(repository.open_verified(MODEL, 1)?, MODEL_BYTES);
    Ok(())
}

/// Many times, one random bit of a manifest flips. Each time, the store must either refuse the
/// version or return the published bytes. A flip in the manifest's date can be harmless.
#[chaos(checksum, non_destructive)]
fn a_flipped_bit_in_a_manifest_never_lets_other_bytes_through(cx: Context) -> Result {
    const FLIPS: usize = 256;
    let repository = Repository::with_model(&cx)?;
    let published = fs::read(repository.weights(MODEL, 1))?;
    let (mut refused, mut passed) = (0, 0);
    for _ in 0..FLIPS {
        let flip = cx.inject(BitFlip::new(repository.manifest(MODEL, 1)))?;
        match repository.open_verified(MODEL, 1) {
            Err(_) => refused += 1,
            Ok(bytes) => {
                assert_eq!(bytes, published, "other bytes with {}", flip.planned());
                passed += 1;
            }
        }
        flip.undo();
    }
    // The manifest contains the current date. The number of harmless flips depends on the digits of
    // that date.
    cx.measured(format!("{refused} flips refused, {passed} harmless"));
    assert!(refused > passed, "{refused} refused, {passed} passed");
    Ok(())
}

/// A deployment copied the manifest of version 1 over the manifest of version 2. Version 2 must be
/// refused, and version 1 must answer.
#[chaos(checksum, non_destructive, clock = "manual")]
async fn a_manifest_of_another_version_is_refused(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled(MODEL, 2.0)?;
    let (first, second) = (repository.manifest(MODEL, 1), repository.manifest(MODEL, 2));
    cx.inject(Replace::new(second, first))?.until_end();

    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}
