//! The judge together with the rules of the breaker: half-open, timeouts and sliding windows.

use std::time::Duration;

use clarity::{
    BreakerRate, BreakerState, BreakerTrip, BreakerWindow, Config, Inline, Server, SlowCalls,
};
use clarity_testbed::*;

use crate::judge::{breaker, good, judged, poison, serve_on_threads, serve_patiently};
use crate::probe::repository_with_probe;

#[tokio::test]
async fn poisonous_requests_do_not_decide_a_half_open_breaker() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_patiently(&models, &faulty).await;
    assert_eq!(good(&client).await.status, 200);
    faulty.set(Behaviour::Error);
    for _ in 0..5 {
        good(&client).await;
    }
    clock.advance(60.0).await;
    faulty.set(Behaviour::Normal);
    faulty.poison(Behaviour::Error);
    for _ in 0..20 {
        poison(&client).await.assert_problem(422, "input_rejected");
        let snapshot = breaker(&server);
        assert_eq!(
            (snapshot.state, snapshot.probes),
            (BreakerState::HalfOpen, 0)
        );
    }
    assert_eq!(judged(&server, "passed"), 1.0);
    assert_eq!(good(&client).await.body, SHORT_ANSWER);
    assert_eq!(breaker(&server).state, BreakerState::Closed);
}

#[tokio::test]
async fn half_open_breaker_tries_the_judge_before_a_request() {
    let clock = ManualClock::start();
    let (models, faulty) = (Repository::temporary_with_model(), FaultSwitch::new());
    let (server, client) = serve_patiently(&models, &faulty).await;
    assert_eq!(good(&client).await.status, 200);
    faulty.set(Behaviour::Error);
    for _ in 0..5 {
        good(&client).await;
    }
    for _ in 0..3 {
        clock.advance(60.0).await;
        let runs = faulty.runs();
        let refused = good(&client).await;
        refused.assert_problem(503, "circuit_open");
        assert_eq!(refused.retry_after(), Some(60));
        assert_eq!(faulty.runs(), runs + 1, "only the judging run");
        assert_eq!(breaker(&server).state, BreakerState::Open);
    }
}

/// Makes a request whose run exceeds the deadline.
async fn time_out(clock: &ManualClock, client: &Client, faulty: &FaultSwitch) {
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let hanging = {
        let client = client.clone();
        tokio::spawn(async move { good(&client).await })
    };
    faulty.until_runs(runs + 1).await;
    faulty.set(Behaviour::Normal);
    clock.run_out(30.0).await;
    let answer = within("the deadline", hanging).await.unwrap();
    answer.assert_problem(504, "deadline_exceeded");
}

#[tokio::test]
async fn runs_beyond_the_deadline_always_count() {
    let clock = ManualClock::start();
    let (models, faulty) = (repository_with_probe(), FaultSwitch::new());
    let (server, client) = serve_on_threads(&models, &faulty).await;
    faulty.poison(Behaviour::Error);
    for timeouts in 1..5 {
        time_out(&clock, &client, &faulty).await;
        poison(&client).await;
        // The model passes its probe, which takes back only the failure of the poisonous request.
        if timeouts == 4 {
            assert_eq!(judged(&server, "passed"), 2.0);
        }
    }
    assert_eq!(breaker(&server).consecutive_failures, 4);
    time_out(&clock, &client, &faulty).await;
    assert_eq!(breaker(&server).state, BreakerState::Open);
    assert_eq!(
        judged(&server, "passed"),
        2.0,
        "five timeouts need no judge"
    );
    faulty.release();
}

#[tokio::test]
async fn four_poisonous_requests_and_a_timeout_leave_it_closed() {
    let clock = ManualClock::start();
    let (models, faulty) = (repository_with_probe(), FaultSwitch::new());
    let (server, client) = serve_on_threads(&models, &faulty).await;
    faulty.poison(Behaviour::Error);
    for _ in 0..4 {
        poison(&client).await;
    }
    time_out(&clock, &client, &faulty).await;
    let snapshot = breaker(&server);
    assert_eq!(
        (snapshot.state, snapshot.consecutive_failures),
        (BreakerState::Closed, 1)
    );
    faulty.release();
}

fn rate(window: BreakerWindow) -> Config {
    let mut rate = BreakerRate::default();
    rate.window = window;
    rate.minimum_calls = 4;
    rate.slow_calls = Some(SlowCalls::new(Duration::from_secs(5), 50));
    let mut config = config();
    config.breaker.trip = BreakerTrip::Rate(rate);
    config
}

#[tokio::test]
async fn failures_of_sliding_windows_are_judged_too() {
    let clock = ManualClock::start();
    let windows = [
        BreakerWindow::Calls(10),
        BreakerWindow::Time(Duration::from_secs(60)),
    ];
    for window in windows {
        let (models, faulty) = (repository_with_probe(), FaultSwitch::new());
        let builder = Server::builder(models.root()).config(rate(window));
        let builder = builder.executor(Inline).runtime(faulty.runtime());
        let (server, client) = start(builder).await;
        faulty.poison(Behaviour::Error);
        for failures in 1..=40 {
            let refused = poison(&client).await;
            match failures {
                1..4 => refused.assert_problem(503, "inference_failed"),
                _ => refused.assert_problem(422, "input_rejected"),
            }
        }
        assert_eq!(breaker(&server).state, BreakerState::Closed, "{window:?}");
        assert_eq!(good(&client).await.status, 200);
        clock.run_out(1.0).await;
        faulty.set(Behaviour::Error);
        until_some("the opening", async || {
            let refused = good(&client).await;
            (refused.json()["reason"] == "circuit_open").then_some(())
        })
        .await;
        assert_eq!(breaker(&server).state, BreakerState::Open, "{window:?}");
        assert_eq!(judged(&server, "failed"), 1.0);
    }
}
