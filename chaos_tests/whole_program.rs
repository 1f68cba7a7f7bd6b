//! The binary `clarity` as its users run it, with real files and signals.

use clarity_chaos::fault::{BitFlip, Fault, Garbage, Truncate};
use clarity_chaos::{Context, Result, chaos};
#[cfg(unix)]
use clarity_testbed::hostile;
use clarity_testbed::{
    Client, MODEL, Repository, Response, ServerProcess, cole_kripke, command, until_some,
};
use std::process::Command;

/// The path of the binary `clarity`.
const CLARITY: &str = env!("CARGO_BIN_EXE_clarity");

/// A `clarity serve` process, killed when dropped.
struct Program {
    server: ServerProcess,
    client: Client,
}

fn clarity(repository: &Repository) -> Command {
    let mut command = command(CLARITY);
    command.current_dir(repository.root());
    command
}

impl Program {
    fn start(cx: &Context, repository: &Repository, flags: &[&str]) -> Self {
        let mut serve = clarity(repository);
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--drain-delay", "0s"])
            .arg("--models")
            .arg(repository.root())
            .args(["--settle-time", "0s"])
            .args(flags);
        let server = ServerProcess::spawn(&mut serve);
        Self {
            client: Client::marking(cx, server.client.server()),
            server,
        }
    }

    /// Repeats a request until the model is loaded and the answer has the status `status`.
    async fn answered(&self, status: u16, activity: &[f32]) -> Result<Response> {
        let description = format!("an answer of status {status}");
        until_some(&description, async || {
            let answer = match self.client.infer(MODEL, activity).await {
                Ok(answer) => answer,
                Err(error) => return Some(Err(error)),
            };
            let reason = answer.member("reason");
            let is_loading = reason.is_ok_and(|reason| reason == "model_loading");
            (answer.status == status && !is_loading).then_some(Ok(answer))
        })
        .await
    }

    /// Ends the server with SIGTERM, and asserts that it exits with code 0.
    #[cfg(unix)]
    async fn terminate(mut self) -> Result {
        let pid = self.server.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status()?;
        assert!(killed.success(), "{killed}");
        let ended = until_some("the end of the server", async || {
            self.server.child.try_wait().transpose()
        });
        assert_eq!(ended.await?.code(), Some(0), "after SIGTERM");
        Ok(())
    }

    /// Kills the server by dropping `self`.
    #[cfg(not(unix))]
    async fn terminate(self) -> Result {
        Ok(())
    }
}

/// Injects a fault into the weight file while the server is down. The restarted server must refuse
/// the model. Once the file is repaired, the server must answer as before.
async fn survives<F: Fault>(cx: &Context, fault: impl Fn(std::path::PathBuf) -> F) -> Result {
    let repository = Repository::with_model(cx)?;
    let activity = cole_kripke::activity(7 * 24 * 60, &mut cx.rng());
    let program = Program::start(cx, &repository, &[]);
    let good = program.answered(200, &activity).await?;
    cole_kripke::assert_right(&good, &activity, 1.0)?;
    program.terminate().await?;

    let damage = cx.inject(fault(repository.weights(MODEL, 1)))?;
    let program = Program::start(cx, &repository, &[]);
    let refused = program.answered(503, &activity).await?;
    refused.assert_unavailable("model_corrupt");
    assert_eq!(program.client.get("/v2/health/live").await?.status, 200);

    damage.undo();
    let back = program.answered(200, &activity).await?;
    assert_eq!(back.json()["outputs"], good.json()["outputs"]);
    program.terminate().await
}

/// A bit flips while the server is down. The restarted server must refuse the model with a 503.
/// Once the file is repaired, the server must serve the model without another restart.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_a_flipped_bit(cx: Context) -> Result {
    survives(&cx, BitFlip::new).await
}

/// The weight file is cut short while the server is down. The restarted server must refuse the
/// model until the file is repaired.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_a_file_cut_short(cx: Context) -> Result {
    survives(&cx, Truncate::new).await
}

/// The weight file is overwritten while the server is down. The restarted server must refuse the
/// model until the file is repaired.
#[chaos(slow, non_destructive, timeout = "120s")]
async fn it_survives_garbage(cx: Context) -> Result {
    survives(&cx, Garbage::new).await
}

/// An operator verifies a repository that contains a damaged model. `clarity verify` must fail and
/// name the model. Once the model is repaired, the command must succeed.
#[chaos(slow, non_destructive)]
async fn verify_names_what_is_damaged(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("other", 2.0)?;
    let verify = || {
        let mut verify = clarity(&repository);
        verify.args(["verify", "--models"]).arg(repository.root());
        verify.output()
    };

    let flip = cx.inject(BitFlip::new(repository.weights("other", 1)))?;
    let bad = verify()?;
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    let output = String::from_utf8([bad.stdout, bad.stderr].concat())?;
    assert!(
        output.contains("other") && output.contains("model.onnx"),
        "{output}"
    );

    flip.undo();
    let good = verify()?;
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    Ok(())
}

/// Deploys a version that matches its manifest. The version crashes or blocks any process that
/// loads and runs it. The child that vets the version must end, and the refusal must contain
/// `says`. The server must answer with the previous version.
#[cfg(unix)]
async fn ends_the_vetting_child_alone(cx: &Context, hostile: &[u8], says: &str) -> Result {
    let repository = Repository::with_model(cx)?;
    let flags = ["--vetting-memory", "268435456", "--vetting-cpu", "1s"];
    let program = Program::start(cx, &repository, &flags);
    let activity = cole_kripke::activity(30, &mut cx.rng());
    program.answered(200, &activity).await?;
    let deployed = repository.publish_bytes(MODEL, hostile)?;
    let path = format!("/v2/models/{MODEL}/versions/{deployed}/ready");
    // Until the next poll, the server does not know the version. After the poll, the server reports
    // the version as loading until the vetting ends.
    let refused = until_some("the refusal of the version", async || {
        let answer = program.client.infer(MODEL, &activity).await.ok()?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let ready = program.client.get(&path).await.ok()?;
        let is_loading = ready.body.contains("model_loading");
        (ready.status == 503 && !is_loading).then_some(ready)
    })
    .await;
    refused.assert_unavailable("model_incompatible");
    assert!(refused.body.contains(says), "{}", refused.body);
    let answer = program.client.infer(MODEL, &activity).await?;
    answer.assert_served_by(1, true);
    program.terminate().await
}

/// A deployed version requests eight gigabytes of memory when it is loaded. The child that vets the
/// version must end, and the server must keep running.
#[cfg(unix)]
#[chaos(degradation, non_destructive, timeout = "60s")]
async fn a_model_that_would_exhaust_memory_ends_where_it_is_tried_out(cx: Context) -> Result {
    ends_the_vetting_child_alone(&cx, hostile::MEMORY_AT_LOAD, "memory").await
}

/// The model of a deployed version is nested too deep for any stack. The version must be refused
/// before its graphs are read, and the server must keep running.
#[cfg(unix)]
#[chaos(
    degradation,
    non_destructive,
    timeout = "60s",
    seed_name = "whole_program::a_model_that_would_overflow_the_stack_ends_where_it_is_tried_out"
)]
async fn a_model_that_overflows_the_stack_ends_where_it_is_tried_out(cx: Context) -> Result {
    ends_the_vetting_child_alone(&cx, hostile::STACK_AT_LOAD, "nested more deeply than 32").await
}

/// A deployed version computes endlessly when it is run. The child that vets the version must end,
/// and the server must keep running.
#[cfg(unix)]
#[chaos(degradation, non_destructive, timeout = "60s")]
async fn a_model_that_would_run_for_ever_ends_where_it_is_tried_out(cx: Context) -> Result {
    ends_the_vetting_child_alone(&cx, hostile::TIME_AT_INFERENCE, "CPU time").await
}
