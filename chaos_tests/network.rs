//! Faults of the network and of the server's process. Every answer must be right, clients on
//! connections without a fault must be unaffected, and the server must recover.

use clarity_chaos::fault::{
    Bandwidth, Blackhole, ConnectionCut, ConnectionRefused, Kill, Latency, Pause,
};
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::process::Process;
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::{
    Client, MODEL, Repository, Response, Served, cole_kripke, command, listening_address,
    until_some,
};
#[cfg(target_os = "linux")]
use clarity_testbed::{hostile, until};
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

/// The limit of each wait for a server process: until it listens, or until it ends. The limit
/// suffices even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that serves [`MODEL`]. `served.client` reaches the server directly, and `far` reaches
/// the server over `link`.
struct Linked {
    served: Served,
    link: Link,
    far: Client,
    activity: Vec<f32>,
}

impl Linked {
    async fn start(cx: &Context) -> Result<Self> {
        let repository = Repository::with_model(cx)?;
        let served = Served::start_on_threads(cx, &repository).await?;
        let link = cx.link("server", served.client.server())?;
        Ok(Self {
            far: Client::marking(cx, link.addr()),
            activity: cole_kripke::activity(200, &mut cx.rng()),
            served,
            link,
        })
    }

    /// Sends a request over the link.
    async fn ask(&self) -> Result<Response> {
        self.far.infer(MODEL, &self.activity).await
    }

    fn assert_right(&self, answer: &Response) -> Result {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(
            cole_kripke::is_right(answer, &self.activity, 1.0)?,
            "{}",
            answer.body
        );
        Ok(())
    }

    /// Asserts that both clients get right answers, now that no fault is active.
    async fn assert_recovered(&self) -> Result {
        self.assert_right(&self.ask().await?)?;
        let near = self.served.client.infer(MODEL, &self.activity).await?;
        self.assert_right(&near)
    }
}

/// Connections break in the middle of requests and of answers. A client must get the complete,
/// correct answer or an error, never a partial answer. The broken connections must not count as
/// failures of the model.
#[chaos(network, non_destructive)]
async fn broken_connections_give_right_answers_or_none(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let mut broken = 0;
    for direction in [Direction::ToClient, Direction::ToServer] {
        for _ in 0..10 {
            let cut = cx.inject(ConnectionCut::new(&linked.link, direction))?;
            match linked.ask().await {
                Ok(answer) => linked.assert_right(&answer)?,
                Err(_) => broken += 1,
            }
            cut.undo();
            linked.assert_recovered().await?;
        }
    }
    cx.measured(format!("{broken} of 20 requests got an error"));
    assert!(broken > 0, "no fault broke a connection");
    assert_eq!(linked.served.breaker(MODEL)?.consecutive_failures, 0);
    Ok(())
}

/// The connection is closed, not reset, in the middle of an answer. The client must get an error:
/// the answer's head announced a longer body.
#[chaos(network, non_destructive)]
async fn an_answer_that_ends_early_is_an_error_to_the_client(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let whole = linked.ask().await?;
    linked.assert_right(&whole)?;
    let most = u64::try_from(whole.body.len())?;
    for after in [most / 2, most - 1, most] {
        // A new client has no idle connection that the fault could cut.
        let far = Client::marking(&cx, linked.link.addr());
        let cut = ConnectionCut::new(&linked.link, Direction::ToClient)
            .after(after)
            .by_closing();
        let cut = cx.inject(cut)?;
        let answer = far.infer(MODEL, &linked.activity).await;
        // The fault counts the bytes of the head, too. Even after `most` bytes, the body is
        // incomplete.
        assert!(answer.is_err(), "{answer:?}");
        cut.undo();
    }
    linked.assert_recovered().await
}

/// A request stops half-way and continues later. Other requests must be answered during the
/// interruption. The interrupted request must be answered afterwards.
#[chaos(
    network,
    non_destructive,
    seed_name = "network::a_stalled_client_holds_nobody_up"
)]
async fn a_stalled_client_holds_up_no_other(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let stall = cx.inject(Blackhole::new(&linked.link, Direction::ToServer))?;
    let stalled = linked.far.infer_in_background(MODEL, &linked.activity);
    for _ in 0..20 {
        let near = linked.served.client.infer(MODEL, &linked.activity).await?;
        linked.assert_right(&near)?;
    }
    assert!(!stalled.is_finished());
    stall.undo();
    linked.assert_right(&stalled.await??)?;
    linked.assert_recovered().await
}

/// A slow and narrow link with jitter delays the answers. The answers must be right.
#[chaos(network, non_destructive)]
async fn a_poor_link_gives_late_answers_and_right_ones(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    const LATENCY: Duration = Duration::from_millis(100);
    let slow = Latency::new(&linked.link).with_delay(LATENCY);
    cx.inject(slow.with_jitter(Duration::from_millis(20)))?
        .until_end();
    let narrow = Bandwidth::new(&linked.link).with_bytes_per_second(200_000);
    cx.inject(narrow)?.until_end();
    let started = Instant::now();
    let asked: Vec<_> = (0..8)
        .map(|_| linked.far.infer_in_background(MODEL, &linked.activity))
        .collect();
    for asked in asked {
        linked.assert_right(&asked.await??)?;
    }
    assert!(started.elapsed() >= LATENCY, "no answer was late");
    linked.assert_recovered().await
}

/// The server is unreachable for a while. It must answer again as soon as it is reachable.
#[chaos(network, non_destructive)]
async fn a_server_that_was_out_of_reach_answers_again(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let refusal = cx.inject(ConnectionRefused::new(&linked.link))?;
    assert!(linked.ask().await.is_err());
    refusal.undo();
    linked.assert_recovered().await
}

/// Starts the server's binary as a process of the test. Returns the process and a client of the
/// server.
fn program(cx: &Context, name: &str, repository: &Repository) -> Result<(Process, Client)> {
    program_with(cx, name, repository, &[])
}

fn program_with(
    cx: &Context,
    name: &str,
    repository: &Repository,
    flags: &[&str],
) -> Result<(Process, Client)> {
    let mut serve = command(env!("CARGO_BIN_EXE_clarity"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--models"])
        .arg(repository.root())
        .args(["--settle-time", "0s"])
        .args(flags)
        .current_dir(repository.root());
    let process = cx.spawn(name, &mut serve)?;
    let line = block_in_place(|| process.wait_for_line("listening on http://", PATIENCE))?;
    Ok((process, Client::marking(cx, listening_address(&line)?)))
}

/// Repeats a request until the model is loaded, and returns the answer.
async fn answered(client: &Client, activity: &[f32]) -> Result<Response> {
    until_some("an answer of the model", async || {
        let answer = client.infer(MODEL, activity).await;
        let is_loading = answer.as_ref().is_ok_and(|answer| answer.status != 200);
        (!is_loading).then_some(answer)
    })
    .await
}

/// The server's process is paused, as if its machine were swapping memory to disk. Requests sent
/// during the pause must be answered correctly once the process continues.
#[cfg(unix)]
#[chaos(slow, network, non_destructive, timeout = "120s")]
async fn a_server_that_stood_still_answers_what_it_was_asked(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let activity = cole_kripke::activity(200, &mut cx.rng());
    let (process, client) = program(&cx, "server", &repository)?;
    answered(&client, &activity).await?;
    let pause = cx.inject(Pause::new(&process))?;
    let asked: Vec<_> = (0..8)
        .map(|_| client.infer_in_background(MODEL, &activity))
        .collect();
    // A server that is not paused answers all of these requests within 200 ms.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answered = asked.iter().filter(|asked| asked.is_finished()).count();
    assert_eq!(answered, 0, "a paused server answered");
    pause.undo();
    for asked in asked {
        let answer = asked.await??;
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    Ok(())
}

/// The server is killed while a version is published and a client sends requests. Every answer must
/// be right, and the restarted server must serve the old or the new version.
#[chaos(slow, network, non_destructive, timeout = "120s")]
async fn a_server_that_was_killed_is_followed_by_one_that_serves(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let activity = cole_kripke::activity(200, &mut cx.rng());
    let right = |answer: &Response| -> Result<bool> {
        Ok(cole_kripke::is_right(answer, &activity, 1.0)?
            || cole_kripke::is_right(answer, &activity, 2.0)?)
    };
    for round in 1..=3 {
        let (process, client) = program(&cx, &format!("server {round}"), &repository)?;
        assert!(right(&answered(&client, &activity).await?)?);
        let started = Instant::now();
        let killed = cx.inject(Kill::new(&process).within(Duration::from_millis(200)))?;
        repository.publish_scaled(MODEL, if round % 2 == 0 { 1.0 } else { 2.0 })?;
        while let Ok(answer) = client.infer(MODEL, &activity).await {
            assert!(started.elapsed() < PATIENCE, "the server was not killed");
            assert!(answer.status != 200 || right(&answer)?, "{}", answer.body);
        }
        block_in_place(|| process.wait(PATIENCE))?;
        killed.undo();
    }
    let (_process, client) = program(&cx, "the last server", &repository)?;
    assert!(right(&answered(&client, &activity).await?)?);
    Ok(())
}

/// The server is killed while its child vets a model that computes endlessly. The child must end
/// when the server ends, before the child reaches its time limits of one hour.
#[cfg(target_os = "linux")]
#[chaos(slow, network, non_destructive, timeout = "60s")]
async fn what_tries_a_model_out_ends_with_the_server(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let patient = [
        "--vetting-cpu",
        "1h",
        "--vetting-time",
        "1h",
        "--poll",
        "20ms",
    ];
    let (process, client) = program_with(&cx, "server", &repository, &patient)?;
    answered(&client, &cole_kripke::activity(30, &mut cx.rng())).await?;
    repository.publish_bytes(MODEL, hostile::TIME_AT_INFERENCE)?;
    let server = process.id();
    let vetting = until_some("a busy child", async || busy_child_of(server)).await;
    cx.inject(Kill::new(&process))?.until_end();
    until("the end of the child", || {
        Stat::of(vetting).is_none_or(|stat| stat.state == "Z")
    })
    .await;
    Ok(())
}

/// Finds a child of the process `parent` that has used at least 200 ms of CPU time. Such a child
/// has read its input, and is computing.
#[cfg(target_os = "linux")]
fn busy_child_of(parent: u32) -> Option<u32> {
    /// The least CPU time of a busy child, in ticks of 10 ms.
    const TICKS: u64 = 20;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_busy = |stat: Stat| stat.parent == parent && stat.ticks >= TICKS;
    numbers.find(|number| Stat::of(*number).is_some_and(is_busy))
}

/// Fields of `/proc/PID/stat` (proc_pid_stat(5)).
#[cfg(target_os = "linux")]
struct Stat {
    state: String,
    parent: u32,
    /// The CPU time in user mode, in ticks.
    ticks: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    fn of(process: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        Some(Self {
            state: (*fields.first()?).to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            ticks: fields.get(11)?.parse().ok()?,
        })
    }
}
