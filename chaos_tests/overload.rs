//! Too many requests, and models that hang or fail. One model must not affect the others.

use clarity::{BlockingPool, BreakerState, JobKind};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::cole_kripke::OVERWHELMING;
use clarity_testbed::{
    Behaviour, FaultSwitch, MODEL, MODEL_BYTES, Repository, Served, cole_kripke, until_some,
};
use std::time::Duration;

/// The number of consecutive failures that opens a breaker by default.
const FAILURES: usize = 5;
/// The default open time of a breaker.
const OPEN: Duration = Duration::from_secs(60);
/// The default time limit of a prediction.
const DEADLINE: Duration = Duration::from_secs(30);

/// Asserts that `model` answers correctly, and that the health, metrics and metadata paths return
/// 200.
async fn assert_healthy(cx: &Context, served: &Served, model: &str) -> Result {
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let answer = served.client.infer(model, &activity).await?;
    cole_kripke::assert_right(&answer, &activity, 1.0)?;
    for path in ["/v2/health/live", "/v2/health/ready", "/metrics", "/v2"] {
        assert_eq!(served.client.status(path).await?, 200, "{path}");
    }
    Ok(())
}

/// A model hangs on every request. Each client must get a 504 at the deadline, and the fifth 504
/// must open the breaker. Another model must answer as usual.
#[chaos(overload, non_destructive, clock = "manual")]
async fn a_model_that_hangs_is_taken_out_by_its_breaker(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("hanging", 1.0)?;
    let (faulty, pool) = (FaultSwitch::new(), BlockingPool::default());
    // Each run has a thread of its own, so none waits.
    let runtime = faulty.runtime().only("hanging");
    let served = Served::start_with_runtime(&cx, &repository, runtime, &pool).await?;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let asked: Vec<_> = (0..FAILURES)
        .map(|_| served.client.infer_in_background("hanging", &[1.0; 10]))
        .collect();
    faulty.until_runs(runs + FAILURES).await;
    assert_healthy(&cx, &served, MODEL).await?;
    assert!(asked.iter().all(|asked| !asked.is_finished()));

    // A timer may fire a millisecond late, so the clock moves a millisecond beyond the deadline.
    cx.clock()
        .advance(DEADLINE + Duration::from_millis(1))
        .await;
    for asked in asked {
        let answer = asked.await??;
        assert_eq!(answer.status, 504, "{}", answer.body);
        assert_eq!(answer.member("reason")?, "deadline_exceeded");
    }
    let answer = served.client.infer("hanging", &[1.0; 10]).await?;
    answer.assert_unavailable("circuit_open");
    assert_eq!(faulty.runs(), runs + FAILURES);
    assert_healthy(&cx, &served, MODEL).await?;

    // The hanging runs now end. Their late outcomes must not change the breaker.
    faulty.set(Behaviour::Normal);
    faulty.release();
    assert_eq!(served.breaker("hanging")?.state, BreakerState::Open);
    cx.clock().advance(OPEN).await;
    assert_healthy(&cx, &served, "hanging").await?;
    served.shut_down().await
}

/// More requests arrive than the capacity allows. The excess requests must be rejected at once,
/// with a 503 and a retry delay. The accepted requests must be answered, and the breaker must count
/// no failure.
#[chaos(overload, non_destructive, clock = "manual")]
async fn what_is_too_much_is_shed_and_is_no_failure_of_the_model(cx: Context) -> Result {
    const CAPACITY: usize = 2;
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    served.executor.set_capacity(CAPACITY);
    served.executor.hold(JobKind::Inference, MODEL);
    let under_way: Vec<_> = (0..CAPACITY)
        .map(|_| served.client.infer_in_background(MODEL, &[1.0; 10]))
        .collect();
    served.executor.until_held(CAPACITY).await;
    for _ in 0..4 * FAILURES {
        let shed = served.client.infer(MODEL, &[1.0; 10]).await?;
        shed.assert_unavailable("overloaded");
    }
    assert_eq!(served.client.status("/v2/health/ready").await?, 200);
    let shed = served.client.metric("requests_shed_total").await?;
    assert_eq!(shed, (4 * FAILURES) as f64);
    assert_eq!(served.breaker(MODEL)?.consecutive_failures, 0);

    served.executor.release();
    for asked in under_way {
        let answer = asked.await??;
        answer.assert_served_by(1, false);
        assert!(cole_kripke::is_right(&answer, &[1.0; 10], 1.0)?);
    }
    assert_healthy(&cx, &served, MODEL).await?;
    served.shut_down().await
}

/// Clients disconnect while their requests wait. Each such request must be counted once, as
/// cancelled. The model must still answer other clients.
#[chaos(overload, non_destructive, clock = "manual")]
async fn clients_that_go_away_are_counted_as_gone(cx: Context) -> Result {
    const CLIENTS: usize = 3;
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    served.executor.hold(JobKind::Inference, MODEL);
    let asked: Vec<_> = (0..CLIENTS)
        .map(|_| served.client.infer_in_background(MODEL, &[1.0; 10]))
        .collect();
    served.executor.until_held(CLIENTS).await;
    for asked in asked {
        asked.abort();
    }
    let gone = format!("prediction_failure_total{{model=\"{MODEL}\",reason=\"cancelled\"}}");
    until_some("the cancelled requests", async || {
        let count = served.client.metric(&gone).await.ok()?;
        (count >= CLIENTS as f64).then_some(())
    })
    .await;
    served.executor.release();
    assert_healthy(&cx, &served, MODEL).await?;
    assert_eq!(served.client.metric(&gone).await?, CLIENTS as f64);
    served.shut_down().await
}

/// No capacity is free, and a client waits for `100 Continue`. The refusal must arrive before the
/// body is sent.
#[chaos(overload, non_destructive, clock = "manual")]
async fn a_body_that_would_be_shed_need_not_be_sent(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    served.executor.set_capacity(0);
    let answer = served.client.ask_before_sending(MODEL).await?;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("overloaded"), "{answer}");
    served.shut_down().await
}

/// A model fails for an hour, so each probe of its breaker fails. The health checks, the metrics
/// and another model must answer throughout. The server must call the failing model only once a
/// minute.
#[chaos(overload, non_destructive, clock = "manual")]
async fn a_model_that_fails_for_long_takes_nothing_with_it(cx: Context) -> Result {
    const MINUTES: usize = 60;
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("failing", 4.0)?;
    let served = Served::start(&cx, &repository).await?;
    for _ in 0..FAILURES {
        served.client.infer("failing", &OVERWHELMING).await?;
    }
    for _ in 0..MINUTES {
        for _ in 0..3 {
            let answer = served.client.infer("failing", &OVERWHELMING).await?;
            answer.assert_unavailable("circuit_open");
        }
        assert_healthy(&cx, &served, MODEL).await?;
        cx.clock().advance(OPEN).await;
        let answer = served.client.infer("failing", &OVERWHELMING).await?;
        assert_eq!(answer.member("reason")?, "inference_failed");
    }
    assert_eq!(served.inferences("failing"), FAILURES + MINUTES);
    assert_eq!(served.inferences(MODEL), MINUTES);
    served.shut_down().await
}

/// In each of several rounds, many reloads are requested at once. Meanwhile, a client sends
/// requests. Each reload must finish, and each answer must be right.
#[chaos(overload, non_destructive, timeout = "60s")]
async fn a_storm_of_reloads_costs_no_request(cx: Context) -> Result {
    const RELOADERS: usize = 32;
    const ROUNDS: usize = 8;
    let repository = Repository::with_model(&cx)?;
    let served = Served::start_on_threads(&cx, &repository).await?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    let mut answers = 0;
    for _ in 0..ROUNDS {
        let storm: Vec<_> = (0..RELOADERS)
            .map(|_| served.reload_in_background(MODEL))
            .collect();
        while storm.iter().any(|reload| !reload.is_finished()) {
            let answer = served.client.infer(MODEL, &activity).await?;
            answer.assert_served_by(1, false);
            cole_kripke::assert_right(&answer, &activity, 1.0)?;
            answers += 1;
        }
        for reload in storm {
            reload.await?;
        }
    }
    let loads = format!("model_load_duration_seconds_count{{model=\"{MODEL}\"}}");
    let loads = served.client.metric(&loads).await?;
    cx.measured(format!("{loads} loads for {} requests", RELOADERS * ROUNDS));
    assert!(answers > 0, "no request came between the reloads");
    // The start of the server causes one load, and each round causes at least one more. Reloads
    // that are requested during a load share the next load.
    assert!(loads > ROUNDS as f64, "{loads} loads");
    assert!(loads < (RELOADERS * ROUNDS / 2) as f64, "{loads} loads");
    served.shut_down().await
}

/// A damaged version is loaded hundreds of times. The failed loads must leak neither descriptors
/// nor memory.
#[cfg(target_os = "linux")]
#[chaos(overload, non_destructive, timeout = "60s")]
async fn hundreds_of_failed_loads_leak_nothing(cx: Context) -> Result {
    use clarity_chaos::fault::BitFlip;

    const LOADS: usize = 300;
    /// The allowed growth of memory, in bytes. A leak of one mebibyte for each load would be 300
    /// MiB.
    const MOST_BYTES: f64 = (32 << 20) as f64;
    let repository = Repository::with_model(&cx)?;
    let served = Served::start(&cx, &repository).await?;
    let padding = vec![7; 1 << 20];
    repository.publish_files(
        MODEL,
        &[("model.onnx", MODEL_BYTES), ("weights.bin", &padding)],
    )?;
    cx.inject(BitFlip::new(repository.weights(MODEL, 2)))?
        .until_end();
    let usage = async || -> Result<(f64, f64)> {
        let descriptors = served.client.metric("process_open_fds").await?;
        let memory = served
            .client
            .metric("process_resident_memory_bytes")
            .await?;
        Ok((descriptors, memory))
    };
    let failures =
        format!("model_load_failures_total{{model=\"{MODEL}\",reason=\"model_corrupt\"}}");
    for _ in 0..LOADS / 10 {
        served.reload(MODEL).await?;
    }
    let (descriptors, memory) = usage().await?;
    let failed = served.client.metric(&failures).await?;
    for _ in 0..LOADS {
        served.reload(MODEL).await?;
    }
    assert!(served.client.metric(&failures).await? >= failed + LOADS as f64);
    let (descriptors_after, memory_after) = usage().await?;
    // A few more open connections are allowed. A leak of one descriptor for each load would be 300
    // descriptors.
    let opened = descriptors_after - descriptors;
    assert!(opened < 16.0, "{opened} descriptors more");
    let grown = memory_after - memory;
    assert!(grown < MOST_BYTES, "{grown} bytes more");
    served.shut_down().await
}
