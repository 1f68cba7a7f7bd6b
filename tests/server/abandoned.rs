//! Runs under way for which nobody waits any more: they make way for the next requests.

use clarity::{BlockingPool, BreakerState, Executor as _, JobKind, Server};
use clarity_testbed::*;

/// The activity of [`short_request`].
const ACTIVITY: [f32; 5] = [8.0, 0.0, 0.0, 0.0, 0.0];

/// A server and a client. The model has `threads` threads, and its runs hang from now on.
async fn serve_hanging(
    models: &Repository,
    faulty: &FaultSwitch,
    threads: usize,
    pool: &BlockingPool,
) -> (Server, Client) {
    let builder = Server::builder(models.root())
        .config(config())
        .executor(pool.clone())
        .runtime(faulty.queued_runtime(threads));
    let served = start(builder).await;
    faulty.set(Behaviour::Hang);
    served
}

/// Begins `runs` runs, which hang, and closes their connections.
async fn abandon(server: &Server, client: &Client, faulty: &FaultSwitch, runs: usize) {
    let labels = format!("{{model=\"{MODEL}\",reason=\"cancelled\"}}");
    let cancelled = format!("prediction_failure_total{labels}");
    let (begun, gone) = (faulty.runs(), metric(server, &cancelled));
    let asked: Vec<_> = (0..runs)
        .map(|_| client.infer_in_background(MODEL, &ACTIVITY))
        .collect();
    faulty.until_runs(begun + runs).await;
    for asked in asked {
        asked.abort();
    }
    until("cancelled requests", || {
        metric(server, &cancelled) == gone + runs as f64
    })
    .await;
}

async fn assert_answers(client: &Client) {
    let answer = within("an answer", client.infer(MODEL, &ACTIVITY)).await;
    assert_eq!(answer.unwrap().body, SHORT_ANSWER);
}

/// The clients of all runs hang up. The next request is answered while the runs go on. They keep
/// their places and their memory until they end.
#[tokio::test]
async fn request_is_answered_while_abandoned_runs_hold_all_threads() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(3);
    let (server, client) = serve_hanging(&models, &faulty, 2, &pool).await;
    abandon(&server, &client, &faulty, 2).await;
    faulty.set(Behaviour::Normal);
    assert_answers(&client).await;
    assert_answers(&client).await;
    faulty.set(Behaviour::Hang);
    abandon(&server, &client, &faulty, 1).await;
    assert!(!pool.has_room(JobKind::Inference), "runs keep their places");
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
    faulty.release();
    until("a free place", || pool.has_room(JobKind::Inference)).await;
    assert_answers(&client).await;
}

/// At most as many runs make way as the model has threads. Others hold their thread.
#[tokio::test]
async fn abandoned_runs_beyond_the_limit_hold_their_threads() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(3);
    let (server, client) = serve_hanging(&models, &faulty, 1, &pool).await;
    let runs = faulty.runs();
    abandon(&server, &client, &faulty, 1).await;
    abandon(&server, &client, &faulty, 1).await;
    let waiting = client.infer_in_background(MODEL, &ACTIVITY);
    until("a full pool", || !pool.has_room(JobKind::Inference)).await;
    clock.run_out(30.0).await;
    let waiting = waiting.await.unwrap().unwrap();
    waiting.assert_problem(503, "overloaded");
    assert_eq!(faulty.runs(), runs + 2, "a third run began");
    // The queue stands still until a run ends.
    let refused = client.infer(MODEL, &ACTIVITY).await.unwrap();
    refused.assert_says("the runs of the model do not end");
    faulty.set(Behaviour::Normal);
    faulty.release_one();
    until_some("an answer", async || {
        let answer = client.infer(MODEL, &ACTIVITY).await.unwrap();
        (answer.status == 200).then(|| assert_eq!(answer.body, SHORT_ANSWER))
    })
    .await;
    faulty.release();
}

/// A run exceeds its deadline: it counts as a failure, as ever, and the next request is answered.
#[tokio::test]
async fn run_beyond_its_deadline_counts_and_makes_way() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(8);
    let (server, client) = serve_hanging(&models, &faulty, 1, &pool).await;
    let runs = faulty.runs();
    let hangs = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.until_runs(runs + 1).await;
    clock.run_out(30.0).await;
    let late = hangs.await.unwrap().unwrap();
    late.assert_problem(504, "deadline_exceeded");
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 1);
    faulty.set(Behaviour::Normal);
    assert_answers(&client).await;
    faulty.release();
}

/// Each run hangs until its deadline: the fifth failure opens the breaker, as ever.
#[tokio::test]
async fn runs_that_make_way_still_open_the_breaker() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(8);
    let (server, client) = serve_hanging(&models, &faulty, 3, &pool).await;
    for failures in 1..=5 {
        let runs = faulty.runs();
        let hangs = client.infer_in_background(MODEL, &ACTIVITY);
        faulty.until_runs(runs + 1).await;
        clock.run_out(30.0).await;
        let late = hangs.await.unwrap().unwrap();
        late.assert_problem(504, "deadline_exceeded");
        let breaker = server.models().breaker(MODEL).unwrap();
        let (closed, open) = (BreakerState::Closed, BreakerState::Open);
        let state = if failures < 5 { closed } else { open };
        assert_eq!(breaker.state, state, "after {failures} failures");
    }
    faulty.release();
}

/// A server stops while abandoned runs go on: its shutdown does not wait for them.
#[tokio::test]
async fn shutdown_does_not_wait_for_abandoned_runs() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(8);
    let (server, client) = serve_hanging(&models, &faulty, 1, &pool).await;
    abandon(&server, &client, &faulty, 1).await;
    drop(client);
    let is_clean = within("the shutdown", server.shutdown()).await;
    assert!(is_clean, "a request was cut");
    faulty.release();
}
