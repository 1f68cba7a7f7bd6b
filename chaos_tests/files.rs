//! Faults in a version's files. Some faults put a directory or a symlink in a file's place.

#[cfg(unix)]
use clarity_chaos::fault::Permissions;
use clarity_chaos::fault::{BitFlip, Delete, Displace, Extend, Fault, TornWrite, Zeros};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke};
use std::fs;
use std::path::PathBuf;

/// Injects a fault into the weight file of the only version, then starts the server. The version
/// must be refused with `reason`, and the server must stay live. After the fault is undone, the
/// version must be served.
async fn is_refused<F: Fault>(
    cx: &Context,
    reason: &str,
    fault: impl FnOnce(PathBuf) -> F,
) -> Result {
    let repository = Repository::with_model(cx)?;
    let fault = cx.inject(fault(repository.weights(MODEL, 1)))?;
    let served = Served::start(cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable(reason);
    assert_eq!(served.client.status("/v2/health/live").await?, 200);

    fault.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    served.shut_down().await
}

/// A directory replaces the weight file. The directory must be refused.
#[chaos(
    files,
    non_destructive,
    clock = "manual",
    seed_name = "files::a_folder_in_the_place_of_a_file_is_refused"
)]
async fn a_directory_in_the_place_of_a_file_is_refused(cx: Context) -> Result {
    is_refused(&cx, "model_corrupt", Displace::new).await
}

/// A symlink replaces the weight file. The symlink must be refused even if its target holds the
/// published bytes. The target can change later.
#[cfg(unix)]
#[chaos(files, non_destructive, clock = "manual")]
async fn a_link_is_refused_wherever_it_leads(cx: Context) -> Result {
    let elsewhere = cx.dir().join("elsewhere.onnx");
    fs::write(&elsewhere, MODEL_BYTES)?;
    is_refused(&cx, "link_not_allowed", |weights| {
        Displace::new(weights).by_symlink(&elsewhere)
    })
    .await
}

/// The server has no permission to read the weight file. The refusal must differ from the refusal
/// of a damaged file. Once the server has the permission, the model must answer.
#[cfg(unix)]
#[chaos(
    files,
    non_destructive,
    clock = "manual",
    seed_name = "files::a_file_that_may_not_be_read_is_told_apart_from_a_damaged_one"
)]
async fn a_file_without_permission_is_distinct_from_a_damaged_one(cx: Context) -> Result {
    is_refused(&cx, "model_unreadable", Permissions::new).await
}

/// A sector of the weight file was never written, and reads as zeros. The file must be refused.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_sector_of_zeros_is_refused(cx: Context) -> Result {
    is_refused(&cx, "model_corrupt", Zeros::new).await
}

/// Bytes were appended to the weight file. The file must be refused.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_file_that_is_too_long_is_refused(cx: Context) -> Result {
    is_refused(&cx, "model_corrupt", Extend::new).await
}

/// A deployment overwrites a version's file with a larger file, and a power loss interrupts the
/// write. The torn file equals neither the old file nor the larger one, and could load with wrong
/// weights. The torn file must be refused.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_torn_write_is_refused(cx: Context) -> Result {
    let newer = cx.dir().join("newer.onnx");
    // Concatenated Protocol Buffers messages form one valid message, so the larger file is valid,
    // too.
    fs::write(&newer, cole_kripke::scaled(MODEL_BYTES, 2.0)?.repeat(8))?;
    is_refused(&cx, "model_corrupt", |weights| {
        TornWrite::new(weights, &newer)
    })
    .await
}

const FILES: [(&str, &[u8]); 4] = [
    ("model.onnx", MODEL_BYTES),
    ("first.bin", b"first"),
    ("second.bin", b"second"),
    ("third.bin", b"third"),
];

/// Injects a fault into `second.bin`, one of the four files of version 2. Version 1 must answer,
/// and the refusal of version 2 must name the damaged file.
async fn the_file_is_named<F: Fault>(
    cx: &Context,
    reason: &str,
    fault: impl FnOnce(PathBuf) -> F,
) -> Result {
    let repository = Repository::with_model(cx)?;
    let served = Served::start(cx, &repository).await?;
    let version = repository.publish_files(MODEL, &FILES)?;
    let file = repository.version(MODEL, version).join("second.bin");
    let damage = cx.inject(fault(file))?;
    served.reload(MODEL).await?;
    let path = format!("/v2/models/{MODEL}/versions/{version}/ready");
    let refused = served.client.get(&path).await?;
    refused.assert_unavailable(reason);
    assert!(refused.body.contains("second.bin"), "{}", refused.body);
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);

    damage.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    served.shut_down().await
}

/// One of several files of a version is damaged. The version must be refused, and the refusal must
/// name the damaged file.
#[chaos(files, non_destructive, clock = "manual")]
async fn one_damaged_file_among_several_is_named(cx: Context) -> Result {
    the_file_is_named(&cx, "model_corrupt", BitFlip::new).await
}

/// A file that the manifest lists is missing. The version must be refused, and the refusal must
/// name the file.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_missing_file_among_several_is_named(cx: Context) -> Result {
    the_file_is_named(&cx, "model_missing", Delete::new).await
}
