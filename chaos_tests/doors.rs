//! The doors of the server: floods of idle clients, and shutdowns under load. No probe may fail,
//! and no request may be lost.

use clarity::{JobKind, ListenAddress};
use clarity_chaos::{Context, Result, chaos};
#[cfg(unix)]
use clarity_testbed::{Client, MODEL, ServerProcess, cole_kripke, command, until_some};
use clarity_testbed::{Connection, INFER, Repository, Served, post_head, short_request};
use std::time::Duration;

/// The connection limit of the tests.
const CONNECTIONS: usize = 32;
/// A complete request.
const LIVE: &str = "GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n";

/// Sends a probe over a new connection, as a kubelet does, and returns the status.
async fn probe(cx: &Context, served: &Served) -> Result<u16> {
    let mut connection = served.client.connect().await?;
    connection.send(LIVE).await?;
    let reading = tokio::spawn(async move { connection.read_status().await });
    for _ in 0..100 {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if reading.is_finished() {
            return reading.await?;
        }
        cx.clock().advance(Duration::from_millis(20)).await;
    }
    reading.abort();
    Err("the probe timed out".into())
}

/// Idle clients, of which some have sent a part of a head, take all connections. More come all the
/// time. A probe over a new connection must be answered within two seconds.
#[chaos(overload, non_destructive, clock = "manual")]
async fn a_flood_of_idle_clients_does_not_make_a_probe_fail(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start_with_connections(&cx, &repository, CONNECTIONS).await?;
    let mut flood: Vec<Connection> = Vec::new();
    for round in 0..4 {
        for number in 0..CONNECTIONS {
            let mut idle = served.client.connect().await?;
            match number % 3 {
                0 => idle.send(LIVE).await?,
                1 => idle.send(&LIVE[..20]).await?,
                _ => {}
            }
            flood.push(idle);
        }
        assert_eq!(probe(&cx, &served).await?, 200, "round {round}");
    }
    let evicted = served.evicted();
    cx.measured(format!("{evicted} connections evicted"));
    assert!(evicted > 0.0, "no connection was evicted");
    drop(flood);
    served.shut_down().await
}

/// All connections have requests that hang, so a new connection to the main listener waits. A probe
/// of the admin listener must be answered, and no request may be lost.
#[chaos(overload, non_destructive, clock = "manual")]
async fn a_flood_of_requests_does_not_make_an_admin_probe_fail(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let served = Served::start_with_connections(&cx, &repository, CONNECTIONS).await?;
    served
        .executor
        .hold(JobKind::Inference, clarity_testbed::MODEL);
    let body = short_request().to_string();
    let mut busy = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = served.client.connect().await?;
        client.send(post_head(INFER, body.len()) + &body).await?;
        busy.push(client);
    }
    served.executor.until_held(CONNECTIONS).await;
    let Some(ListenAddress::Ip(admin)) = served.admin_addresses().first() else {
        return Err("no admin listener".into());
    };
    let admin = clarity_testbed::Client::marking(&cx, *admin);
    for path in ["/v2/health/live", "/v2/health/ready", "/metrics"] {
        assert_eq!(admin.status(path).await?, 200, "{path}");
    }
    cx.clock().advance(Duration::from_secs(10)).await;
    served.executor.release();
    for mut client in busy {
        assert_eq!(client.read_status().await?, 200);
    }
    let evicted = served.evicted();
    assert_eq!(evicted, 0.0, "a connection with a request was evicted");
    served.shut_down().await
}

/// SIGTERM arrives while clients open new connections and use kept ones. Until a client has seen
/// that the server is not ready, it must get the right answer to each request.
#[cfg(unix)]
#[chaos(slow, network, non_destructive, timeout = "120s")]
async fn sigterm_under_load_loses_no_request(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let activity = cole_kripke::activity(30, &mut cx.rng());
    for _ in 0..3 {
        let mut serve = command(env!("CARGO_BIN_EXE_clarity"));
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--drain-delay", "2s"])
            .arg("--models")
            .arg(repository.root())
            .current_dir(repository.root());
        let mut server = ServerProcess::spawn(&mut serve);
        let address = server.client.server();
        until_some("an answer of the model", async || {
            let answer = server.client.infer(MODEL, &activity).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let (cx, activity) = (cx.clone(), activity.clone());
                tokio::spawn(async move {
                    let kept = Client::marking(&cx, address);
                    let mut answers = 0;
                    loop {
                        let client = match number % 2 {
                            0 => kept.clone(),
                            _ => Client::marking(&cx, address),
                        };
                        let answer = client.infer(MODEL, &activity).await?;
                        cole_kripke::assert_right(&answer, &activity, 1.0)?;
                        answers += 1;
                        let ready = client.get("/v2/health/ready").await?;
                        if ready.status == 503 {
                            ready.assert_problem(503, "shutting_down");
                            return Result::<usize>::Ok(answers);
                        }
                    }
                })
            })
            .collect();
        let pid = server.child.id().to_string();
        let killed = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()?;
        assert!(killed.success(), "{killed}");
        for client in clients {
            assert!(client.await?? > 0);
        }
        let ended = until_some("the end of the server", async || {
            server.child.try_wait().transpose()
        });
        assert_eq!(ended.await?.code(), Some(0), "after SIGTERM");
    }
    Ok(())
}
