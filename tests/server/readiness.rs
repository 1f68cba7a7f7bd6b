//! The readiness of a server: with newcomers, bad models, and no models.

use std::fs;

use clarity::{Config, Inline, ReadyWhen, Server};
use clarity_testbed::*;

const READY: &str = "/v2/health/ready";

fn config_with(ready_when: ReadyWhen) -> Config {
    let mut config = config();
    config.ready_when = ready_when;
    config
}

#[tokio::test]
async fn newcomer_that_is_bad_ends_readiness_only_of_all() {
    for (ready_when, status) in [
        (ReadyWhen::Any, 200),
        (ReadyWhen::Loaded, 200),
        (ReadyWhen::All, 503),
    ] {
        let _clock = ManualClock::start();
        let models = Repository::temporary_with_model();
        let (server, client) = serve_with(&models, config_with(ready_when), Inline).await;
        assert_eq!(client.get(READY).await.unwrap().status, 200);
        models.publish("bad", b"not a model");
        server.models().reload("bad").await.unwrap();
        let ready = client.get(READY).await.unwrap();
        assert_eq!(ready.status, status, "{ready_when}");
        tokio::time::resume();
    }
}

/// At the start, a model loads endlessly; later, another one does.
#[tokio::test]
async fn loading_model_ends_readiness_of_all_or_at_the_start() {
    for (ready_when, at_start, later) in [
        (ReadyWhen::Any, 503, 200),
        (ReadyWhen::Loaded, 503, 200),
        (ReadyWhen::All, 503, 503),
    ] {
        let _clock = ManualClock::start();
        let models = Repository::temporary_with_model();
        let faulty = FaultSwitch::new();
        faulty.set(Behaviour::Hang);
        let builder = Server::builder(models.root()).config(config_with(ready_when));
        let server = bind(builder.runtime(faulty.runtime())).await;
        let client = Client::new(server.local_addr());
        let ready = client.get(READY).await.unwrap();
        ready.assert_problem(at_start, "model_loading");
        assert_eq!(ready.json()["model"], "cole_kripke");
        faulty.set(Behaviour::Normal);
        faulty.release();
        server.models().settled().await;
        assert_eq!(client.get(READY).await.unwrap().status, 200);

        let executor = std::sync::Arc::new(HoldingExecutor::new());
        drop(server);
        let builder = Server::builder(models.root()).config(config_with(ready_when));
        let (server, client) = start(builder.shared_executor(executor.clone())).await;
        models.publish("soon", MODEL_BYTES);
        executor.hold(clarity::JobKind::Load, "soon");
        let reload = {
            let models = server.models().clone();
            tokio::spawn(async move { models.reload("soon").await })
        };
        executor.until_held(1).await;
        let ready = client.get(READY).await.unwrap();
        assert_eq!(ready.status, later, "{ready_when}");
        executor.release();
        within("the reload", reload).await.unwrap().unwrap();
        tokio::time::resume();
    }
}

/// Under `any`, one model that answers suffices at the start; under `loaded`, the other one must
/// have been tried.
#[tokio::test]
async fn slow_model_at_the_start_delays_loaded_and_not_any() {
    for (ready_when, status) in [(ReadyWhen::Any, 200), (ReadyWhen::Loaded, 503)] {
        let _clock = ManualClock::start();
        let models = Repository::temporary_with_model();
        models.publish("slow", b"not a model");
        let executor = std::sync::Arc::new(HoldingExecutor::new());
        executor.hold(clarity::JobKind::Load, "slow");
        let builder = Server::builder(models.root()).config(config_with(ready_when));
        let server = bind(builder.shared_executor(executor.clone())).await;
        let client = Client::new(server.local_addr());
        let mut watch = server.models().watch("cole_kripke").unwrap();
        within("a load", watch.wait_for(|status| status.attempts > 0)).await;
        executor.until_held(1).await;
        let ready = client.get(READY).await.unwrap();
        assert_eq!(ready.status, status, "{ready_when}");
        executor.release();
        within("the loads", server.models().settled()).await;
        // The slow model is bad, which delays neither.
        assert_eq!(client.get(READY).await.unwrap().status, 200);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn models_of_which_none_answers_are_not_ready() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    models.flip_bit("1/model.onnx", 2000);
    models.publish("other", b"not a model");
    let (server, client) = serve(&models).await;
    let ready = client.get(READY).await.unwrap();
    ready.assert_problem(503, "model_corrupt");
    ready.assert_says("none of 2 models answers; cole_kripke: version 1: model.onnx: expected");
    assert_eq!(ready.json()["model"], "cole_kripke");
    models.flip_bit("1/model.onnx", 2000);
    server.models().reload("cole_kripke").await.unwrap();
    assert_eq!(client.get(READY).await.unwrap().status, 200);
}

#[tokio::test]
async fn directory_without_models_is_not_ready_and_says_why() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    let (server, client) = serve(&models).await;
    let says = async |says: &str| {
        let ready = client.get(READY).await.unwrap();
        assert_eq!(ready.assert_unavailable("no_models"), 1);
        ready.assert_says(says);
        ready.assert_says(&models.root().display().to_string());
    };
    says("no models in").await;
    says("add one with `clarity add NAME FILE --models").await;
    fs::create_dir(models.root().join("soon")).unwrap();
    server.models().reload("soon").await.unwrap();
    says("has a version").await;
    assert_eq!(client.get("/v2/health/live").await.unwrap().status, 200);
    models.publish("soon", MODEL_BYTES);
    server.models().reload("soon").await.unwrap();
    assert_eq!(client.get(READY).await.unwrap().status, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn directory_of_unusable_entries_is_not_ready_and_names_one() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    fs::create_dir(models.root().join("a name with spaces")).unwrap();
    let (server, client) = serve(&models).await;
    let ready = client.get(READY).await.unwrap();
    ready.assert_problem(503, "no_models");
    ready.assert_says("ignored 1 of its entries, such as \"a name with spaces\"");

    let root = models.root().to_owned();
    fs::rename(&root, root.with_extension("away")).unwrap();
    server.models().discover().await;
    let ready = client.get(READY).await.unwrap();
    ready.assert_problem(503, "no_models");
    ready.assert_says("cannot read the models directory");
    fs::rename(root.with_extension("away"), &root).unwrap();
}
