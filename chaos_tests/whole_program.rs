//! The server as its users run it: the binary itself, its files, its signals.

use crate::support::{Client, MODEL, Repository, cole_kripke};
use clarity_chaos::fault::{BitFlip, Fault, Garbage, Truncate};
use clarity_chaos::{Context, Result, chaos};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A `clarity serve` that ends with the test.
struct Program {
    process: Child,
    client: Client,
}

fn clarity(repository: &Repository) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clarity"));
    command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("CLARITY_MODELS", "");
    command
        .env_remove("CLARITY_MODELS")
        .current_dir(repository.root());
    command
}

impl Program {
    async fn start(cx: &Context, repository: &Repository) -> Result<Self> {
        Self::start_with(cx, repository, &[]).await
    }

    async fn start_with(cx: &Context, repository: &Repository, flags: &[&str]) -> Result<Self> {
        let mut process = clarity(repository)
            .args(["serve", "--listen", "127.0.0.1:0", "--models"])
            .arg(repository.root())
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the pipe was asked for")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines
            .next_line()
            .await?
            .ok_or("the server ended without a word")?;
        let address = line.strip_prefix("listening on http://");
        let address = address.ok_or_else(|| format!("expected an address, found {line:?}"))?;
        Ok(Self {
            client: Client::new(cx, address.parse()?),
            process,
        })
    }

    /// Asks until the answer has this status. The limit is that of the test.
    async fn answered(&self, status: u16, activity: &[f32]) -> Result<crate::support::Answer> {
        loop {
            let answer = self.client.infer(MODEL, activity).await?;
            let loading = answer
                .member("reason")
                .is_ok_and(|reason| reason == "model_loading");
            if answer.status == status && !loading {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[cfg(unix)]
    async fn terminate(mut self) -> Result {
        let pid = self.process.id().ok_or("the server has ended already")?;
        let killed = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()
            .await?;
        assert!(killed.success());
        let status = self.process.wait().await?;
        assert_eq!(status.code(), Some(0), "asked to end, it ends well");
        Ok(())
    }

    #[cfg(not(unix))]
    async fn terminate(mut self) -> Result {
        Ok(self.process.kill().await?)
    }
}

async fn survives<F: Fault>(cx: &Context, fault: impl Fn(std::path::PathBuf) -> F) -> Result {
    let repository = Repository::with_model(cx)?;
    let activity = cole_kripke::activity(7 * 24 * 60, &mut cx.rng());
    let program = Program::start(cx, &repository).await?;
    let good = program.answered(200, &activity).await?;
    cole_kripke::assert_right(&good, &activity, 1.0)?;
    program.terminate().await?;

    let damage = cx.inject(fault(repository.weights(MODEL, 1)))?;
    let program = Program::start(cx, &repository).await?;
    let refused = program.answered(503, &activity).await?;
    refused.assert_unavailable("model_corrupt");
    assert_eq!(program.client.get("/v2/health/live").await?.status, 200);

    damage.undo();
    let back = program.answered(200, &activity).await?;
    assert_eq!(back.json()?["outputs"], good.json()?["outputs"]);
    program.terminate().await
}

/// A bit flips while the server is down. Started again it must refuse with a 503, and be back without a restart once the file is repaired.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_a_flipped_bit(cx: Context) -> Result {
    survives(&cx, BitFlip::new).await
}

/// The file is cut short while the server is down: the same must hold.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_a_file_cut_short(cx: Context) -> Result {
    survives(&cx, Truncate::new).await
}

/// The file is overwritten while the server is down: the same must hold.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_garbage(cx: Context) -> Result {
    survives(&cx, Garbage::new).await
}

/// An operator verifies a repository. `clarity verify` must name the damaged model and fail, and pass once it is repaired.
#[chaos(slow, non_destructive)]
async fn verify_names_what_is_damaged(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("other", 2.0)?;
    let verify = async || {
        clarity(&repository)
            .args(["verify", "--models"])
            .arg(repository.root())
            .output()
            .await
    };

    let flip = cx.inject(BitFlip::new(repository.weights("other", 1)))?;
    let bad = verify().await?;
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let told = String::from_utf8([bad.stdout, bad.stderr].concat())?;
    assert!(
        told.contains("other") && told.contains("model.onnx"),
        "{told}"
    );

    flip.undo();
    let good = verify().await?;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    Ok(())
}

/// A version is deployed that verifies, and that no process survives. The one that tries it out must end of that, which is told in these words, and the server go on
/// answering with the version before.
#[cfg(unix)]
async fn ends_where_it_is_tried_out(cx: &Context, hostile: &[u8], says: &str) -> Result {
    let repository = Repository::with_model(cx)?;
    let flags = ["--vetting-memory", "268435456", "--vetting-cpu", "1s"];
    let program = Program::start_with(cx, &repository, &flags).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    program.answered(200, &activity).await?;
    let deployed = repository.publish_bytes(MODEL, hostile)?;
    let path = format!("/v2/models/{MODEL}/versions/{deployed}/ready");
    // Unknown until the folder has been looked at.
    while program.client.status(&path).await? != 503 {
        let answer = program.client.infer(MODEL, &activity).await?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = program.client.get(&path).await?;
    refused.assert_unavailable("model_incompatible");
    assert!(refused.text.contains(says), "{}", refused.text);
    let answer = program.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);
    program.terminate().await
}

/// A version is deployed that asks for eight gigabytes when it is loaded.
#[cfg(unix)]
#[chaos(degradation, non_destructive, timeout = "60s")]
async fn a_model_that_would_exhaust_memory_ends_where_it_is_tried_out(cx: Context) -> Result {
    const GREEDY: &[u8] = include_bytes!("../tests/server/data/hostile/memory_at_load.onnx");
    ends_where_it_is_tried_out(&cx, GREEDY, "memory").await
}

/// A version is deployed whose graph is nested deeper than any stack.
#[cfg(unix)]
#[chaos(degradation, non_destructive, timeout = "60s")]
async fn a_model_that_would_overflow_the_stack_ends_where_it_is_tried_out(cx: Context) -> Result {
    const DEEP: &[u8] = include_bytes!("../tests/server/data/hostile/stack_at_load.onnx");
    ends_where_it_is_tried_out(&cx, DEEP, "stack overflow").await
}

/// A version is deployed that computes without end when it is first run.
#[cfg(unix)]
#[chaos(degradation, non_destructive, timeout = "60s")]
async fn a_model_that_would_run_for_ever_ends_where_it_is_tried_out(cx: Context) -> Result {
    const ENDLESS: &[u8] = include_bytes!("../tests/server/data/hostile/time_at_inference.onnx");
    ends_where_it_is_tried_out(&cx, ENDLESS, "CPU time").await
}
