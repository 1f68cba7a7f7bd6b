//! Requests that wait for a model: their deadlines, their clients, and what they occupy.

use clarity::{BlockingPool, BreakerState, Config, Executor as _, JobKind, Server};
use clarity_testbed::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The activity of [`short_request`].
const ACTIVITY: [f32; 5] = [8.0, 0.0, 0.0, 0.0, 0.0];

/// A server whose model has one thread, and a client. The model's runs hang from now on, and keep
/// the thread even if nobody waits for them.
async fn serve_hanging(
    models: &Repository,
    faulty: &FaultSwitch,
    pool: &BlockingPool,
    config: Config,
) -> (Server, Client) {
    let builder = Server::builder(models.root())
        .config(config)
        .executor(pool.clone())
        .runtime(faulty.queued_runtime(1).stubborn());
    let served = start(builder).await;
    faulty.set(Behaviour::Hang);
    served
}

/// Waits until no place is free: all requests are running or queued.
async fn until_full(pool: &BlockingPool) {
    until("a full pool", || !pool.has_room(JobKind::Inference)).await;
}

async fn until_room(pool: &BlockingPool) {
    until("a free place", || pool.has_room(JobKind::Inference)).await;
}

fn left(server: &Server, reason: &str) -> f64 {
    let labels = format!(r#"{{model="cole_kripke",reason="{reason}"}}"#);
    metric(server, &format!("prediction_left_queue_total{labels}"))
}

fn failed(server: &Server, reason: &str) -> f64 {
    let labels = format!(r#"{{model="cole_kripke",reason="{reason}"}}"#);
    metric(server, &format!("prediction_failure_total{labels}"))
}

/// Waits until the model answers a request.
async fn until_answered(client: &Client) {
    until_some("an answer", async || {
        let response = client.post(INFER, &short_request()).await.unwrap();
        (response.status == 200).then(|| assert_eq!(response.body, SHORT_ANSWER))
    })
    .await;
}

/// 64 clients of a slow model with one thread: a few are answered, one run takes too long, and the
/// other requests wait in vain.
#[tokio::test]
async fn deadline_in_the_queue_is_503_and_counts_nothing() {
    const CLIENTS: usize = 64;
    const ANSWERED: usize = 9;
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(CLIENTS);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let asked: Vec<_> = (0..CLIENTS)
        .map(|_| client.infer_in_background(MODEL, &ACTIVITY))
        .collect();
    until_full(&pool).await;
    for done in 1..=ANSWERED {
        faulty.until_runs(runs + done).await;
        faulty.release_one();
    }
    faulty.until_runs(runs + ANSWERED + 1).await;
    let success = format!("prediction_success_total{{model=\"{MODEL}\"}}");
    until("the answers", || {
        metric(&server, &success) == ANSWERED as f64
    })
    .await;
    clock.run_out(30.0).await;
    let mut answers = BTreeMap::new();
    for asked in asked {
        let answer = asked.await.unwrap().unwrap();
        let reason = match answer.status.as_u16() {
            200 => String::new(),
            _ => answer.member("reason").unwrap(),
        };
        let key = (answer.status.as_u16(), reason, answer.retry_after());
        *answers.entry(key).or_insert(0) += 1;
    }
    let waited_in_vain = CLIENTS - ANSWERED - 1;
    let expected = [
        ((200, String::new(), None), ANSWERED),
        ((503, "overloaded".to_owned(), Some(1)), waited_in_vain),
        ((504, "deadline_exceeded".to_owned(), None), 1),
    ];
    assert_eq!(answers, BTreeMap::from(expected));
    let breaker = server.models().breaker(MODEL).unwrap();
    let (state, failures) = (breaker.state, breaker.consecutive_failures);
    assert_eq!((state, failures), (BreakerState::Closed, 1));
    assert_eq!(left(&server, "overloaded"), waited_in_vain as f64);
    assert_eq!(left(&server, "cancelled"), 0.0);
    assert!(pool.has_room(JobKind::Inference), "the queue has no place");
    faulty.release();
    until_answered(&client).await;
    assert_eq!(faulty.runs(), runs + ANSWERED + 2);
}

/// 10 clients hang up while the model is busy: the next request waits for the present run alone.
#[tokio::test]
async fn clients_that_hang_up_leave_the_queue() {
    const GONE: usize = 10;
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(GONE + 1);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let first = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.until_runs(runs + 1).await;
    let gone: Vec<_> = (0..GONE)
        .map(|_| client.infer_in_background(MODEL, &ACTIVITY))
        .collect();
    until_full(&pool).await;
    for gone in gone {
        gone.abort();
    }
    until("the departures", || {
        left(&server, "cancelled") == GONE as f64
    })
    .await;
    assert_eq!(failed(&server, "cancelled"), GONE as f64);
    assert!(pool.has_room(JobKind::Inference));
    let next = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.release_one();
    assert_eq!(first.await.unwrap().unwrap().body, SHORT_ANSWER);
    faulty.until_runs(runs + 2).await;
    faulty.release_one();
    assert_eq!(next.await.unwrap().unwrap().body, SHORT_ANSWER);
    assert_eq!(faulty.runs(), runs + 2, "a client that has gone was served");
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

/// The client of the run hangs up, too. Its run goes on, and keeps its place until it ends.
#[tokio::test]
async fn client_of_a_run_that_hangs_up_keeps_its_place() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(1);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let gone = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.until_runs(runs + 1).await;
    gone.abort();
    until("a cancelled request", || {
        failed(&server, "cancelled") == 1.0
    })
    .await;
    assert!(!pool.has_room(JobKind::Inference));
    assert_eq!(left(&server, "cancelled"), 0.0, "its run had begun");
    faulty.release();
    until_room(&pool).await;
    until_answered(&client).await;
}

/// Requests that are held back by their executor occupy all memory. Their clients hang up.
#[tokio::test]
async fn request_that_leaves_the_queue_frees_its_memory() {
    let models = Repository::temporary_with_model();
    let executor = Arc::new(HoldingExecutor::new());
    let mut config = config();
    config.body_limit = 64 << 10;
    config.memory_limit = config.connection_memory() + (256 << 10);
    let builder = Server::builder(models.root()).config(config);
    let (server, client) = start(builder.shared_executor(executor.clone())).await;
    executor.hold(JobKind::Inference, MODEL);
    let mut held = Vec::new();
    let refused = loop {
        let mut asked = client.infer_in_background(MODEL, &[0.0; 2000]);
        tokio::select! {
            answer = &mut asked => break answer.unwrap().unwrap(),
            _ = executor.until_held(held.len() + 1) => held.push(asked),
        }
    };
    refused.assert_problem(503, "overloaded");
    refused.assert_says("memory limit reached");
    let gone = held.len() as f64;
    assert!(gone > 0.0);
    for held in held {
        held.abort();
    }
    until("the departures", || left(&server, "cancelled") == gone).await;
    // The executor still holds the jobs of the clients that have gone.
    executor.hold(JobKind::Scan, MODEL);
    let answer = client.infer(MODEL, &[0.0; 2000]).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    executor.release();
}

/// An executor's own queue: its jobs expire there, too, and make room.
#[tokio::test]
async fn jobs_that_an_executor_holds_expire_and_make_room() {
    let clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let executor = Arc::new(HoldingExecutor::new());
    let builder = Server::builder(models.root()).config(config());
    let (server, client) = start(builder.shared_executor(executor.clone())).await;
    executor.hold(JobKind::Inference, MODEL);
    executor.set_capacity(2);
    let asked: Vec<_> = (0..2)
        .map(|_| client.infer_in_background(MODEL, &ACTIVITY))
        .collect();
    executor.until_held(2).await;
    let shed = client.infer(MODEL, &ACTIVITY).await.unwrap();
    shed.assert_problem(503, "overloaded");
    clock.run_out(30.0).await;
    for asked in asked {
        let answer = asked.await.unwrap().unwrap();
        answer.assert_problem(503, "overloaded");
        assert_eq!(answer.retry_after(), Some(1));
        answer.assert_says("the deadline passed before the model could begin");
    }
    assert_eq!(
        left(&server, "overloaded"),
        2.0,
        "the shed one never queued"
    );
    executor.hold(JobKind::Scan, MODEL);
    let answer = client.infer(MODEL, &ACTIVITY).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
    executor.release();
}

/// The runs take 12 s of the 30. The third request could begin at 24 s, and would be in vain.
#[tokio::test]
async fn run_that_cannot_end_in_time_is_not_begun() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(4);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let asked: Vec<_> = (0..4)
        .map(|_| client.infer_in_background(MODEL, &ACTIVITY))
        .collect();
    until_full(&pool).await;
    for done in 1..=2 {
        faulty.until_runs(runs + done).await;
        clock.advance(12.0).await;
        faulty.release_one();
    }
    let mut statuses = Vec::new();
    for asked in asked {
        let answer = asked.await.unwrap().unwrap();
        if answer.status != 200 {
            answer.assert_problem(503, "overloaded");
        }
        statuses.push(answer.status.as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 503, 503]);
    assert_eq!(faulty.runs(), runs + 2);
    assert_eq!(left(&server, "overloaded"), 2.0);
    // A new request has all its time.
    faulty.release();
    until_answered(&client).await;
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

/// No run ends for a whole deadline: further requests are refused at once, until a run ends.
#[tokio::test]
async fn queue_that_stands_still_refuses_at_once() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(3);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let first = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.until_runs(runs + 1).await;
    let queued = [(); 2].map(|()| client.infer_in_background(MODEL, &ACTIVITY));
    until_full(&pool).await;
    clock.run_out(30.0).await;
    first
        .await
        .unwrap()
        .unwrap()
        .assert_problem(504, "deadline_exceeded");
    for queued in queued {
        let answer = queued.await.unwrap().unwrap();
        answer.assert_problem(503, "overloaded");
    }
    for _ in 0..20 {
        let answer = client.infer(MODEL, &ACTIVITY).await.unwrap();
        answer.assert_problem(503, "overloaded");
        answer.assert_says("the runs of the model do not end");
        assert_eq!(answer.retry_after(), Some(1));
    }
    assert_eq!(left(&server, "overloaded"), 2.0);
    let breaker = server.models().breaker(MODEL).unwrap();
    assert_eq!(breaker.consecutive_failures, 1);
    faulty.release();
    until_answered(&client).await;
    assert_eq!(faulty.runs(), runs + 2);
}

/// A probe of a half-open breaker waits in the queue. Its client hangs up, or its deadline passes:
/// the breaker stays half-open, and the next request is the probe.
#[tokio::test]
async fn probe_that_leaves_the_queue_gives_its_place_back() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(4);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    faulty.set(Behaviour::Error);
    for _ in 0..5 {
        let answer = client.infer(MODEL, &ACTIVITY).await.unwrap();
        assert_eq!(answer.status, 503);
    }
    clock.advance(60.0).await;
    let breaker = server.models().breaker_handle(MODEL).unwrap();
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    // The first probe occupies the thread, also after its client has gone.
    let running = client.infer_in_background(MODEL, &ACTIVITY);
    faulty.until_runs(runs + 1).await;
    running.abort();
    until("the end of a probe", || breaker.snapshot().probes == 0).await;
    let gone = client.infer_in_background(MODEL, &ACTIVITY);
    until("a queued probe", || breaker.snapshot().probes == 1).await;
    gone.abort();
    until("a free place", || breaker.snapshot().probes == 0).await;
    assert_eq!(left(&server, "cancelled"), 1.0);
    let late = client.infer_in_background(MODEL, &ACTIVITY);
    until("a queued probe", || breaker.snapshot().probes == 1).await;
    clock.run_out(30.0).await;
    let late = late.await.unwrap().unwrap();
    late.assert_problem(503, "overloaded");
    let snapshot = breaker.snapshot();
    assert_eq!(
        (snapshot.state, snapshot.probes),
        (BreakerState::HalfOpen, 0)
    );
    faulty.release();
    until_answered(&client).await;
    assert_eq!(breaker.snapshot().state, BreakerState::Closed);
}

/// A shutdown answers the requests in the queue, too.
#[tokio::test]
async fn shutdown_answers_the_queue() {
    let _clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(3);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let asked = [(); 3].map(|()| client.infer_in_background(MODEL, &ACTIVITY));
    until_full(&pool).await;
    let shutdown = tokio::spawn(server.shutdown());
    tokio::task::yield_now().await;
    faulty.release();
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap().body, SHORT_ANSWER);
    }
    assert!(
        within("the shutdown", shutdown).await.unwrap(),
        "a request was cut"
    );
}

/// A server that stops at once closes the connections. The requests in the queue never run.
#[tokio::test]
async fn queue_of_a_dropped_server_never_runs() {
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let pool = BlockingPool::new(2);
    let (server, client) = serve_hanging(&models, &faulty, &pool, config()).await;
    let runs = faulty.runs();
    let asked = [(); 2].map(|()| client.infer_in_background(MODEL, &ACTIVITY));
    until_full(&pool).await;
    faulty.until_runs(runs + 1).await;
    drop(server);
    until_room(&pool).await;
    faulty.release();
    for asked in asked {
        assert!(asked.await.unwrap().is_err(), "a cut connection answered");
    }
    assert_eq!(faulty.runs(), runs + 1);
}
