//! What stands in the place of a version's files, or beside them.

use crate::support::{MODEL, MODEL_BYTES, Repository, Served, cole_kripke};
use clarity_chaos::fault::{BitFlip, Delete, Fault};
use clarity_chaos::{Context, Result, chaos};
use std::fs;
use std::path::Path;

/// `change` is done to the only version's weight file before the server starts: it must be refused with this reason, and the server live.
async fn is_refused(
    cx: &Context,
    reason: &str,
    change: impl FnOnce(&Path) -> std::io::Result<()>,
) -> Result {
    let repository = Repository::with_model(cx)?;
    change(&repository.weights(MODEL, 1))?;
    let served = Served::start(cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable(reason);
    assert_eq!(served.client.status("/v2/health/live").await?, 200);
    served.shut_down().await
}

/// A folder stands in the place of the weight file. It must be refused.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_folder_in_the_place_of_a_file_is_refused(cx: Context) -> Result {
    is_refused(&cx, "model_corrupt", |weights| {
        fs::remove_file(weights)?;
        fs::create_dir(weights)
    })
    .await
}

/// A link stands in the place of the weight file. It must be refused though it leads to the very bytes that were promised: whoever owns the link can turn it.
#[cfg(unix)]
#[chaos(files, non_destructive, clock = "manual")]
async fn a_link_is_refused_wherever_it_leads(cx: Context) -> Result {
    let elsewhere = cx.dir().join("elsewhere.onnx");
    is_refused(&cx, "model_corrupt", |weights| {
        fs::rename(weights, &elsewhere)?;
        std::os::unix::fs::symlink(&elsewhere, weights)
    })
    .await
}

/// The server may not read the weight file. The reason must not call damaged what nobody has looked at, and the model must be back once it may be read.
#[cfg(unix)]
#[chaos(files, non_destructive, clock = "manual")]
async fn a_file_that_may_not_be_read_is_told_apart_from_a_damaged_one(cx: Context) -> Result {
    use std::os::unix::fs::PermissionsExt as _;

    let repository = Repository::with_model(&cx)?;
    let weights = repository.weights(MODEL, 1);
    fs::set_permissions(&weights, fs::Permissions::from_mode(0o0))?;
    if fs::read(&weights).is_ok() {
        cx.skip("whoever runs this test may read everything")?;
    }
    let served = Served::start(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_unavailable("model_unreadable");

    fs::set_permissions(&weights, fs::Permissions::from_mode(0o600))?;
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, false);
    served.shut_down().await
}

const FILES: [(&str, &[u8]); 4] = [
    ("model.onnx", MODEL_BYTES),
    ("first.bin", b"first"),
    ("second.bin", b"second"),
    ("third.bin", b"third"),
];

/// Version 2 has several files, and one of them has a fault: version 1 must go on answering, and the refusal name the file.
async fn the_file_is_named<F: Fault>(
    cx: &Context,
    reason: &str,
    fault: impl FnOnce(std::path::PathBuf) -> F,
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
    assert!(refused.text.contains("second.bin"), "{}", refused.text);
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);

    damage.undo();
    served.reload(MODEL).await?;
    let answer = served.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(version, false);
    served.shut_down().await
}

/// One of several files of a version is damaged. The version must be refused, with the name of the file.
#[chaos(files, non_destructive, clock = "manual")]
async fn one_damaged_file_among_several_is_named(cx: Context) -> Result {
    the_file_is_named(&cx, "model_corrupt", BitFlip::in_file).await
}

/// A manifest names a file that is not there. The version must be refused, with the name of the file.
#[chaos(files, non_destructive, clock = "manual")]
async fn a_missing_file_among_several_is_named(cx: Context) -> Result {
    the_file_is_named(&cx, "model_missing", Delete::path).await
}
