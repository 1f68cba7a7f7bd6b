//! Failed runs whose fault is judged: the model's, or the request's.
//!
//! A poisonous request is well-formed, but the model fails on its values.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clarity::{
    BreakerSnapshot, BreakerState, Config, Executor, Inline, Job, JobKind, Overloaded, Server,
    VersionPolicy,
};
use clarity_testbed::*;

use crate::breaker::serve_faulty;
use crate::probe::repository_with_probe;

pub(crate) async fn poison(client: &Client) -> Response {
    let request = cole_kripke::request(&[POISON; 5]);
    client.post(INFER, &request).await.unwrap()
}

pub(crate) async fn good(client: &Client) -> Response {
    client.post(INFER, &short_request()).await.unwrap()
}

pub(crate) fn breaker(server: &Server) -> BreakerSnapshot {
    server.models().breaker(MODEL).unwrap()
}

/// The number of judging runs with this outcome.
pub(crate) fn judged(server: &Server, outcome: &str) -> f64 {
    let name = "circuit_breaker_judging_runs_total";
    metric(
        server,
        &format!(r#"{name}{{model="{MODEL}",outcome="{outcome}"}}"#),
    )
}

/// A configuration in which no idle connection ends, and only the judge runs probes.
fn patient_config() -> Config {
    let mut config = config();
    config.idle = Duration::from_secs(100 * 24 * 60 * 60);
    config.reload.probe = config.idle;
    config
}

/// Starts a server with an inline executor, for tests that wait for minutes.
pub(crate) async fn serve_patiently(models: &Repository, faulty: &FaultSwitch) -> (Server, Client) {
    let builder = Server::builder(models.root()).config(patient_config());
    start(builder.executor(Inline).runtime(faulty.runtime())).await
}

/// Starts a server on threads, whose runs can exceed the deadline.
pub(crate) async fn serve_on_threads(
    models: &Repository,
    faulty: &FaultSwitch,
) -> (Server, Client) {
    let builder = Server::builder(models.root()).config(patient_config());
    start(builder.runtime(faulty.runtime())).await
}

#[tokio::test]
async fn five_poisonous_requests_leave_the_breaker_closed() {
    let _clock = ManualClock::start();
    for with_probe in [false, true] {
        for behaviour in [Behaviour::Error, Behaviour::NotFinite, Behaviour::Panic] {
            let models = match with_probe {
                false => Repository::temporary_with_model(),
                true => repository_with_probe(),
            };
            let faulty = FaultSwitch::new();
            let (server, client) = serve_faulty(&models, &faulty).await;
            if !with_probe {
                assert_eq!(good(&client).await.body, SHORT_ANSWER);
            }
            faulty.poison(behaviour);
            let runs = faulty.runs();
            for _ in 0..4 {
                poison(&client)
                    .await
                    .assert_problem(503, "inference_failed");
            }
            let fifth = poison(&client).await;
            match behaviour {
                Behaviour::Panic => fifth.assert_problem(503, "inference_failed"),
                _ => {
                    fifth.assert_problem(422, "input_rejected");
                    fifth.assert_says("the model works, so the input is the cause");
                }
            }
            assert_eq!(faulty.runs(), runs + 6, "five requests and one judging run");
            assert_eq!(breaker(&server).state, BreakerState::Closed);
            assert_eq!(breaker(&server).consecutive_failures, 0);
            assert_eq!(judged(&server, "passed"), 1.0);
            assert_eq!(good(&client).await.body, SHORT_ANSWER);
        }
    }
}

#[tokio::test]
async fn broken_model_opens_the_breaker_at_the_fifth_failure() {
    let _clock = ManualClock::start();
    for (with_probe, with_good_input) in [(false, false), (false, true), (true, false)] {
        let models = match with_probe {
            false => Repository::temporary_with_model(),
            true => repository_with_probe(),
        };
        let faulty = FaultSwitch::new();
        let (server, client) = serve_faulty(&models, &faulty).await;
        if with_good_input {
            assert_eq!(good(&client).await.status, 200);
        }
        faulty.set(Behaviour::Error);
        for failures in 0..5 {
            assert_eq!(breaker(&server).consecutive_failures, failures);
            good(&client).await.assert_problem(503, "inference_failed");
        }
        assert_eq!(breaker(&server).state, BreakerState::Open);
        good(&client).await.assert_problem(503, "circuit_open");
        let expected = f64::from(u8::from(with_probe || with_good_input));
        assert_eq!(judged(&server, "failed"), expected);
        assert_eq!(judged(&server, "passed"), 0.0);
    }
}

/// A verdict holds for a second, so a model that breaks right after it is found a second later.
#[tokio::test]
async fn model_that_breaks_after_its_verdict_is_found_a_second_later() {
    let clock = ManualClock::start();
    let (models, faulty) = (repository_with_probe(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    faulty.poison(Behaviour::Error);
    for _ in 0..5 {
        poison(&client).await;
    }
    faulty.set(Behaviour::Error);
    for _ in 0..20 {
        good(&client).await.assert_problem(422, "input_rejected");
    }
    clock.run_out(1.0).await;
    for _ in 0..5 {
        good(&client).await.assert_problem(503, "inference_failed");
    }
    assert_eq!(breaker(&server).state, BreakerState::Open);
}

#[tokio::test]
async fn thousand_bad_requests_a_second_cost_one_judging_run_a_second() {
    const SECONDS: usize = 2;
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_faulty(&models, &faulty).await;
    assert_eq!(good(&client).await.status, 200);
    faulty.poison(Behaviour::Error);
    let runs = faulty.runs();
    for _ in 0..SECONDS * 1000 {
        let refused = poison(&client).await.status;
        assert!(refused == 422 || refused == 503, "{refused}");
        clock.advance(0.001).await;
    }
    let judging_runs = faulty.runs() - runs - SECONDS * 1000;
    assert_eq!(judging_runs as f64, judged(&server, "passed"));
    assert!(judging_runs <= SECONDS, "{judging_runs} judging runs");
    assert_eq!(breaker(&server).state, BreakerState::Closed);
    assert_eq!(good(&client).await.body, SHORT_ANSWER);
}

#[tokio::test]
async fn failures_during_a_judging_run_wait_for_it() {
    let _clock = ManualClock::start();
    for behaviour in [Behaviour::Normal, Behaviour::Error] {
        let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
        let executor = std::sync::Arc::new(HoldingExecutor::new());
        let builder = Server::builder(models.root()).config(config());
        let builder = builder.runtime(faulty.runtime());
        let (server, client) = start(builder.shared_executor(executor.clone())).await;
        assert_eq!(good(&client).await.status, 200);
        faulty.poison(Behaviour::Error);
        for _ in 0..4 {
            poison(&client).await;
        }
        executor.hold(JobKind::Inference, MODEL);
        let failing = [(); 8].map(|()| {
            let client = client.clone();
            tokio::spawn(async move { poison(&client).await })
        });
        within("the failing runs", executor.until_held(8)).await;
        let inferences = executor.inferences(MODEL);
        // The eight requests fail. The judging run is held back before any of them is answered.
        executor.release();
        executor.hold(JobKind::Inference, MODEL);
        within("the judging run", executor.until_held(1)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(executor.inferences(MODEL), inferences + 1);
        assert!(failing.iter().all(|request| !request.is_finished()));
        faulty.set(behaviour);
        executor.release();
        let passes = behaviour == Behaviour::Normal;
        for request in failing {
            let refused = request.await.unwrap();
            match passes {
                true => refused.assert_problem(422, "input_rejected"),
                false => refused.assert_problem(503, "inference_failed"),
            }
        }
        assert_eq!(executor.inferences(MODEL), inferences + 1);
        assert_eq!(breaker(&server).state == BreakerState::Closed, passes);
    }
}

/// The judging run hangs. Even after its deadline, no second one starts while it occupies a thread.
#[tokio::test]
async fn hung_judging_run_is_the_models_fault() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_on_threads(&models, &faulty).await;
    assert_eq!(good(&client).await.status, 200);
    faulty.poison(Behaviour::Error);
    for _ in 0..4 {
        poison(&client).await;
    }
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let fifth = tokio::spawn({
        let client = client.clone();
        async move { poison(&client).await }
    });
    faulty.until_runs(runs + 2).await;
    until_some("the verdict", async || {
        clock.run_out(30.0).await;
        fifth.is_finished().then_some(())
    })
    .await;
    let fifth = fifth.await.unwrap();
    fifth.assert_problem(503, "inference_failed");
    assert_eq!(breaker(&server).state, BreakerState::Open);
    assert_eq!(judged(&server, "failed"), 1.0);

    clock.run_out(60.0).await;
    good(&client).await.assert_problem(503, "circuit_open");
    assert_eq!(faulty.runs(), runs + 2, "another run was started");
    faulty.release();
    faulty.set(Behaviour::Normal);
    until_some("an answer", async || {
        clock.run_out(60.0).await;
        (good(&client).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(breaker(&server).state, BreakerState::Closed);
}

/// Runs inferences inline while it has room for them, although it always claims to have room.
#[derive(Debug, Default)]
struct LimitedExecutor(AtomicUsize);

impl Executor for LimitedExecutor {
    fn execute(&self, job: Job) -> Result<(), Overloaded> {
        let take = |left: usize| left.checked_sub(1);
        let is_refused = job.kind() == JobKind::Inference
            && (self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take))
            .is_err();
        match is_refused {
            true => Err(Overloaded),
            false => Inline.execute(job),
        }
    }
}

#[tokio::test]
async fn judging_run_without_room_is_no_verdict() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let executor = std::sync::Arc::new(LimitedExecutor::default());
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.runtime(faulty.runtime());
    let (server, client) = start(builder.shared_executor(executor.clone())).await;
    executor.0.store(6, Ordering::SeqCst);
    assert_eq!(good(&client).await.status, 200);
    faulty.poison(Behaviour::Error);
    for _ in 0..5 {
        poison(&client)
            .await
            .assert_problem(503, "inference_failed");
    }
    assert_eq!(judged(&server, "undecided"), 1.0);
    assert_eq!(breaker(&server).state, BreakerState::Closed);
    assert_eq!(breaker(&server).consecutive_failures, 4);
    executor.0.store(2, Ordering::SeqCst);
    poison(&client).await.assert_problem(422, "input_rejected");
}

/// Both versions share a breaker. The verdict on one version says nothing about the other one.
#[tokio::test]
async fn verdict_concerns_one_version() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    models.publish(MODEL, MODEL_BYTES);
    let mut config = config();
    let policy: VersionPolicy = "all".parse().unwrap();
    config.versions.insert(MODEL.parse().unwrap(), policy);
    let builder = Server::builder(models.root()).config(config);
    let builder = builder.executor(Inline).runtime(faulty.runtime());
    let (server, client) = start(builder).await;
    faulty.poison(Behaviour::Error);
    let post = async |version: u64, request| {
        let path = format!("/v2/models/{MODEL}/versions/{version}/infer");
        client.post(&path, &request).await.unwrap()
    };
    let poison = || cole_kripke::request(&[POISON; 5]);
    for version in [1, 2] {
        assert_eq!(post(version, short_request()).await.status, 200);
    }
    for _ in 0..5 {
        post(1, poison()).await;
    }
    for _ in 0..4 {
        let refused = post(2, poison()).await;
        refused.assert_problem(503, "inference_failed");
    }
    let runs = faulty.runs();
    let mut fifth = std::pin::pin!(post(2, poison()));
    let mut yields = 0;
    let waits = until("the failure", || {
        yields += usize::from(faulty.runs() > runs);
        yields > 100
    });
    let is_early = tokio::select! {
        biased;
        _ = &mut fifth => true,
        () = waits => false,
    };
    assert!(!is_early, "the second judging run came within a second");
    assert_eq!(judged(&server, "passed"), 1.0);
    clock.run_out(1.0).await;
    let refused = within("a verdict", fifth).await;
    refused.assert_problem(422, "input_rejected");
    assert_eq!(judged(&server, "passed"), 2.0);
}
