//! Requests that wait for a slow model. A client that goes away must cost no run, and a model that
//! hangs must not occupy the places of other models.

use clarity::{BlockingPool, BreakerState, Executor as _, JobKind};
use clarity_chaos::rand::RngExt as _;
use clarity_chaos::rand::seq::SliceRandom as _;
use clarity_chaos::{Context, Result, chaos, sometimes};
use clarity_testbed::{
    Behaviour, FaultSwitch, MODEL, Repository, Served, cole_kripke, until, until_some,
};
use std::time::Duration;

/// The default time limit of a prediction, and a millisecond: a timer may fire late.
const DEADLINE: Duration = Duration::from_millis(30_001);

/// The value of a counter of [`MODEL`] with this reason.
async fn count(served: &Served, name: &str, reason: &str) -> Result<usize> {
    let series = format!("{name}{{model=\"{MODEL}\",reason=\"{reason}\"}}");
    Ok(served.client.metric(&series).await? as usize)
}

/// Clients of a slow model hang up at random moments. Each request must be answered, run in vain or
/// leave the queue, exactly one of these. The breaker must stay closed.
#[chaos(overload, non_destructive, clock = "manual", timeout = "60s")]
async fn clients_that_hang_up_cost_a_slow_model_no_run(cx: Context) -> Result {
    const CLIENTS: usize = 40;
    let repository = Repository::with_model(&cx)?;
    let (faulty, pool) = (FaultSwitch::new(), BlockingPool::new(CLIENTS));
    let runtime = faulty.queued_runtime(2);
    let served = Served::start_with_runtime(&cx, &repository, runtime, &pool).await?;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let mut rng = cx.rng();
    let activity = cole_kripke::activity(30, &mut rng);
    let mut asked: Vec<_> = (0..CLIENTS)
        .map(|_| served.client.infer_in_background(MODEL, &activity))
        .collect();
    until("a full pool", || !pool.has_room(JobKind::Inference)).await;

    asked.shuffle(&mut rng);
    let leaving = rng.random_range(1..CLIENTS);
    let mut staying = asked.split_off(leaving);
    for asked in asked {
        if rng.random_bool(0.3) {
            faulty.release_one();
        }
        if rng.random_bool(0.5) {
            tokio::task::yield_now().await;
        }
        asked.abort();
    }
    faulty.release();
    for asked in staying.drain(..) {
        let answer = asked.await??;
        answer.assert_served_by(1, false);
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    let success = format!("prediction_success_total{{model=\"{MODEL}\"}}");
    let (answered, cancelled) = until_some("the end of all requests", async || {
        let answered = served.client.metric(&success).await.ok()? as usize;
        let cancelled = count(&served, "prediction_failure_total", "cancelled").await;
        let cancelled = cancelled.ok()?;
        (answered + cancelled == CLIENTS).then_some((answered, cancelled))
    })
    .await;
    let left = count(&served, "prediction_left_queue_total", "cancelled").await?;
    let late = count(&served, "prediction_left_queue_total", "overloaded").await?;
    let in_vain = faulty.runs() - runs - answered;
    cx.measured(format!(
        "{leaving} hang up: {answered} answered, {left} left the queue, {in_vain} run in vain"
    ));
    assert_eq!((in_vain + left, late), (cancelled, 0));
    assert!(answered >= CLIENTS - leaving);
    sometimes!(left > 0, "a client that hangs up leaves the queue");
    sometimes!(in_vain > 0, "a client hangs up during its run");
    let breaker = served.breaker(MODEL)?;
    let failures = breaker.consecutive_failures;
    assert_eq!((breaker.state, failures), (BreakerState::Closed, 0));
    served.shut_down().await
}

/// A model hangs, its runs keep their threads, and its clients wait in all places. From the
/// deadline on, its requests must be refused at once, and another model must answer.
#[chaos(overload, non_destructive, clock = "manual", timeout = "60s")]
async fn a_model_that_hangs_takes_no_place_of_another(cx: Context) -> Result {
    const PLACES: usize = 8;
    let repository = Repository::with_model(&cx)?;
    repository.publish_scaled("hanging", 1.0)?;
    let (faulty, pool) = (FaultSwitch::new(), BlockingPool::new(PLACES));
    let runtime = faulty.queued_runtime(2).stubborn().only("hanging");
    let served = Served::start_with_runtime(&cx, &repository, runtime, &pool).await?;
    let runs = faulty.runs();
    faulty.set(Behaviour::Hang);
    let asked: Vec<_> = (0..PLACES)
        .map(|_| served.client.infer_in_background("hanging", &[1.0; 10]))
        .collect();
    until("a full pool", || !pool.has_room(JobKind::Inference)).await;
    faulty.until_runs(runs + 2).await;
    let shed = served.client.infer(MODEL, &[1.0; 10]).await?;
    shed.assert_unavailable("overloaded");
    cx.clock().advance(DEADLINE).await;
    let mut statuses = Vec::new();
    for asked in asked {
        statuses.push(asked.await??.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [503, 503, 503, 503, 503, 503, 504, 504]);
    for _ in 0..4 * PLACES {
        let refused = served.client.infer("hanging", &[1.0; 10]).await?;
        refused.assert_unavailable("overloaded");
        let activity = cole_kripke::activity(30, &mut cx.rng());
        let answer = served.client.infer(MODEL, &activity).await?;
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    assert_eq!(served.breaker("hanging")?.consecutive_failures, 2);
    assert_eq!(served.breaker("hanging")?.state, BreakerState::Closed);

    // The runs end, and the model answers again.
    faulty.set(Behaviour::Normal);
    faulty.release();
    until_some("an answer of the model", async || {
        let answer = served.client.infer("hanging", &[1.0; 10]).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    served.shut_down().await
}
