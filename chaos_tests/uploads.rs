//! Versions that are copied into the store while the server runs.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{Clients, MODEL, MODEL_BYTES, Repository, Served, scale_of, until_some};
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The default settle time.
const SETTLE: Duration = Duration::from_secs(10);
/// A settle time that no upload of a test reaches, however busy the machine is.
const NEVER: Duration = Duration::from_secs(60 * 60);
/// The default interval between polls.
const POLL: Duration = Duration::from_secs(1);
/// The files of a version, in the order of a copy by name.
const FILES: [&str; 2] = ["manifest.json", "model.onnx"];

/// Version 2 of the model in a directory that no server serves.
fn source(cx: &Context) -> Result<Repository> {
    let source = Repository::staging(cx)?;
    source.publish_scaled(MODEL, scale_of(1)?)?;
    source.publish_scaled(MODEL, scale_of(2)?)?;
    Ok(source)
}

/// Asserts that no metric of an alarm has counted.
async fn assert_no_alarm(served: &Served) -> Result {
    for series in [
        format!("checksum_verification_failures_total{{model=\"{MODEL}\"}}"),
        format!("model_load_failures_total{{model=\"{MODEL}\",reason=\"model_corrupt\"}}"),
        format!("model_load_failures_total{{model=\"{MODEL}\",reason=\"model_missing\"}}"),
    ] {
        assert_eq!(served.client.metric(&series).await?, 0.0, "{series}");
    }
    Ok(())
}

/// The number of versions that are arriving.
async fn arriving(served: &Served) -> Result<f64> {
    let series = format!("model_versions_arriving{{model=\"{MODEL}\"}}");
    served.client.metric(&series).await
}

/// Advances the clock until a version answers.
async fn until_served_by(cx: &Context, served: &Served, version: u64) -> Result {
    until_some("the version answers", async || {
        cx.clock().advance(POLL).await;
        let answer = served.client.infer(MODEL, &[1.0; 10]).await;
        let found = answer.and_then(|answer| answer.member("model_version"));
        found
            .is_ok_and(|found| found == version.to_string())
            .then_some(())
    })
    .await;
    Ok(())
}

/// An upload takes many polls, in chunks of random size and with the files in a random order. The
/// older version must answer until the last byte has arrived, and nothing may count as a failure.
#[chaos(uploads, non_destructive, clock = "manual")]
async fn an_upload_slower_than_the_polls_is_no_failure(cx: Context) -> Result {
    let (repository, source) = (Repository::with_model(&cx)?, source(&cx)?);
    let served = Served::start_settling(&cx, &repository, SETTLE).await?;
    let mut rng = cx.rng();
    let mut files = FILES;
    if rng.random() {
        files.reverse();
    }
    fs::create_dir(repository.version(MODEL, 2))?;
    for name in files {
        let bytes = fs::read(source.version(MODEL, 2).join(name))?;
        let mut file = File::create(repository.version(MODEL, 2).join(name))?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let size = rng.random_range(1..=rest.len().min(100));
            let (chunk, later) = rest.split_at(size);
            cx.clock().advance(POLL * rng.random_range(1..9)).await;
            let answer = served.client.infer(MODEL, &[1.0; 10]).await?;
            answer.assert_served_by(1, false);
            file.write_all(chunk)?;
            rest = later;
        }
    }
    until_served_by(&cx, &served, 2).await?;
    assert_no_alarm(&served).await?;
    assert_eq!(arriving(&served).await?, 0.0);
    assert!(
        !repository
            .root()
            .join(MODEL)
            .join("2.quarantine.json")
            .exists()
    );
    served.shut_down().await
}

/// The program that copies a version dies at a random byte. The version must become bad after the
/// settle time, and must answer after a second copy has replaced the first one.
#[chaos(uploads, non_destructive, clock = "manual")]
async fn a_killed_upload_is_bad_until_it_is_repeated(cx: Context) -> Result {
    let (repository, source) = (Repository::with_model(&cx)?, source(&cx)?);
    let served = Served::start_settling(&cx, &repository, SETTLE).await?;
    let paths = |name| {
        let [from, to] = [&source, &repository].map(|at| at.version(MODEL, 2).join(name));
        (from, to)
    };
    fs::create_dir(repository.version(MODEL, 2))?;
    let (from, to) = paths("manifest.json");
    fs::copy(from, to)?;
    let (from, to) = paths("model.onnx");
    let bytes = fs::read(&from)?;
    fs::write(&to, &bytes[..cx.rng().random_range(0..bytes.len())])?;

    until_some("the upload is seen", async || {
        cx.clock().advance(POLL / 4).await;
        (arriving(&served).await.ok()? > 0.0).then_some(())
    })
    .await;
    let answer = served.client.infer(MODEL, &[1.0; 10]).await?;
    answer.assert_served_by(1, false);
    assert_no_alarm(&served).await?;

    cx.clock().advance(SETTLE + POLL).await;
    until_some("the refusal", async || {
        cx.clock().advance(POLL).await;
        let answer = served.client.infer(MODEL, &[1.0; 10]).await.ok()?;
        answer.body.contains("degraded").then_some(answer)
    })
    .await
    .assert_served_by(1, true);
    assert_eq!(arriving(&served).await?, 0.0);

    fs::copy(from, to)?;
    until_served_by(&cx, &served, 2).await?;
    served.shut_down().await
}

/// Clients send requests without a pause while three versions are uploaded slowly. Each answer must
/// be right for a complete version, and the last version must answer in the end.
#[chaos(uploads, slow, non_destructive)]
async fn uploads_under_load_lose_no_answer(cx: Context) -> Result {
    let (repository, source) = (Repository::with_model(&cx)?, source(&cx)?);
    let served = Served::start_settling_on_threads(&cx, &repository, NEVER).await?;
    let mut clients = Clients::start(&cx, &served, 8);
    for version in 2..=4 {
        if version > 2 {
            source.publish_scaled(MODEL, scale_of(version)?)?;
        }
        let target = repository.version(MODEL, version);
        fs::create_dir(&target)?;
        for name in FILES {
            let bytes = fs::read(source.version(MODEL, version).join(name))?;
            let temporary = target.join(format!(".{name}.Xa3b9c"));
            let mut file = File::create(&temporary)?;
            for chunk in bytes.chunks(bytes.len().div_ceil(4)) {
                until_some("a look", async || {
                    (arriving(&served).await.ok()? == 1.0).then_some(())
                })
                .await;
                file.write_all(chunk)?;
            }
            fs::rename(temporary, target.join(name))?;
        }
        clients.until(|seen| seen.newest == version).await?;
    }
    let seen = clients.stop().await?;
    assert_eq!(seen.unavailable, 0);
    assert_no_alarm(&served).await?;
    served.shut_down().await
}

/// The program `rsync` copies a version with a limited rate and with the times of the source. The
/// copy must be served, and nothing may count as a failure. Without the program, the test is
/// skipped.
#[chaos(uploads, non_destructive)]
async fn a_version_copied_by_rsync_is_served(cx: Context) -> Result {
    let rsync = |arguments: &[&str]| Command::new("rsync").args(arguments).output();
    match rsync(&["--version"]) {
        // A directory of `PATH` that this user cannot search gives the other error.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied
            ) =>
        {
            cx.skip("rsync is not installed")?;
        }
        found => assert!(found?.status.success(), "rsync --version fails"),
    }
    let (repository, source) = (Repository::with_model(&cx)?, Repository::staging(&cx)?);
    let bulk = vec![7; 1 << 20];
    source.publish_scaled(MODEL, scale_of(1)?)?;
    source.publish_files(MODEL, &[("model.onnx", MODEL_BYTES), ("bulk.bin", &bulk)])?;
    let served = Served::start_settling_on_threads(&cx, &repository, NEVER).await?;
    let text = |path: PathBuf| format!("{}/", path.display());
    let (from, to) = (source.version(MODEL, 2), repository.version(MODEL, 2));
    let (from, to) = (text(from), text(to));
    let copied = tokio::task::spawn_blocking(move || {
        Command::new("rsync")
            .args(["-rt", "--bwlimit=512", &from, &to])
            .output()
    });
    let copied = copied.await??;
    assert!(copied.status.success(), "{copied:?}");
    until_some("version 2 answers", async || {
        let answer = served.client.infer(MODEL, &[1.0; 10]).await;
        let answer = answer.ok()?;
        answer.body.contains(r#""model_version":"2""#).then_some(())
    })
    .await;
    assert_no_alarm(&served).await?;
    served.shut_down().await
}
