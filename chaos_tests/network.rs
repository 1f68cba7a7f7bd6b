//! Trouble between clients and the server, and a server that stands still or is gone: no wrong answer, nobody else's trouble, and an end to it.

use crate::support::{Answer, Client, MODEL, Repository, Served, cole_kripke};
use clarity_chaos::fault::{
    Bandwidth, Blackhole, ConnectionCut, ConnectionRefused, Kill, Latency, Pause,
};
use clarity_chaos::network::{Direction, Link};
use clarity_chaos::process::Process;
use clarity_chaos::{Context, Result, chaos, sometimes};
use std::process::Command;
use std::time::Duration;
use tokio::task::block_in_place;

/// What a program that is asked by the test may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of [`MODEL`], a client that reaches it directly, and one that reaches it by a link.
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
            far: Client::new(cx, link.addr()),
            activity: cole_kripke::activity(200, &mut cx.rng()),
            served,
            link,
        })
    }

    /// Asks over the link.
    async fn ask(&self) -> Result<Answer> {
        self.far.infer(MODEL, &self.activity).await
    }

    fn assert_right(&self, answer: &Answer) -> Result {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(
            cole_kripke::is_right(answer, &self.activity, 1.0)?,
            "{}",
            answer.text
        );
        Ok(())
    }

    /// That both clients are answered rightly, once nothing is wrong any more.
    async fn assert_recovered(&self) -> Result {
        self.assert_right(&self.ask().await?)?;
        let near = self.served.client.infer(MODEL, &self.activity).await?;
        self.assert_right(&near)
    }
}

/// Connections break in the middle of requests and of answers. A client gets the whole right answer or an error, never a part; the server counts nothing
/// of it against the model, and serves on.
#[chaos(network, non_destructive)]
async fn broken_connections_give_right_answers_or_none(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    for direction in [Direction::ToClient, Direction::ToServer] {
        for _ in 0..10 {
            let cut = cx.inject(ConnectionCut::new(&linked.link, direction))?;
            match linked.ask().await {
                Ok(answer) => linked.assert_right(&answer)?,
                Err(_broken) => sometimes!(true, "a connection broke before the answer was whole"),
            }
            cut.undo();
            linked.assert_recovered().await?;
        }
    }
    assert_eq!(linked.served.breaker(MODEL)?.consecutive_failures, 0);
    Ok(())
}

/// An answer that ends early without an error must not look whole: its length was announced.
#[chaos(network, non_destructive)]
async fn an_answer_that_ends_early_is_an_error_to_the_client(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let whole = linked.ask().await?;
    linked.assert_right(&whole)?;
    let most = u64::try_from(whole.text.len())?;
    for after in [most / 2, most - 1, most] {
        // Of a connection of its own, so that none is closed while it is idle.
        let far = Client::new(&cx, linked.link.addr());
        let cut = ConnectionCut::new(&linked.link, Direction::ToClient)
            .after(after)
            .by_closing();
        let cut = cx.inject(cut)?;
        let answer = far.infer(MODEL, &linked.activity).await;
        // The head comes before the body, so that even so many bytes are not all.
        assert!(answer.is_err(), "{answer:?}");
        cut.undo();
    }
    linked.assert_recovered().await
}

/// A request stops half-way and goes on later. Meanwhile others are answered as always, and then so is this one.
#[chaos(network, non_destructive)]
async fn a_stalled_client_holds_nobody_up(cx: Context) -> Result {
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

/// A slow and narrow link with jitter: answers come late, and right.
#[chaos(network, non_destructive)]
async fn a_poor_link_gives_late_answers_and_right_ones(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let slow = Latency::new(&linked.link).with_delay(Duration::from_millis(5));
    cx.inject(slow.with_jitter(Duration::from_millis(20)))?
        .until_end();
    let narrow = Bandwidth::new(&linked.link).with_bytes_per_second(200_000);
    cx.inject(narrow)?.until_end();
    let asked: Vec<_> = (0..8)
        .map(|_| linked.far.infer_in_background(MODEL, &linked.activity))
        .collect();
    for asked in asked {
        linked.assert_right(&asked.await??)?;
    }
    linked.assert_recovered().await
}

/// The server cannot be reached for a while. When it can again, it answers at once.
#[chaos(network, non_destructive)]
async fn a_server_that_was_out_of_reach_answers_again(cx: Context) -> Result {
    let linked = Linked::start(&cx).await?;
    let refusal = cx.inject(ConnectionRefused::new(&linked.link))?;
    assert!(linked.ask().await.is_err());
    refusal.undo();
    linked.assert_recovered().await
}

/// The program of the server, as a process of the test.
fn program(cx: &Context, name: &str, repository: &Repository) -> Result<(Process, Client)> {
    program_with(cx, name, repository, &[])
}

fn program_with(
    cx: &Context,
    name: &str,
    repository: &Repository,
    flags: &[&str],
) -> Result<(Process, Client)> {
    let mut serve = Command::new(env!("CARGO_BIN_EXE_clarity"));
    serve
        .args(["serve", "--listen", "127.0.0.1:0", "--models"])
        .arg(repository.root())
        .args(flags)
        .env_remove("CLARITY_MODELS")
        .current_dir(repository.root());
    let process = cx.spawn(name, &mut serve)?;
    let line = block_in_place(|| process.wait_for_line("listening on http://", PATIENCE))?;
    let (_, address) = line.split_once("http://").ok_or("a line with an address")?;
    Ok((process, Client::new(cx, address.trim().parse()?)))
}

/// Asks until the model answers, since it loads after the start. The limit is that of the test.
async fn answered(client: &Client, activity: &[f32]) -> Result<Answer> {
    loop {
        let answer = client.infer(MODEL, activity).await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The server's process stands still, as when its machine swaps. What was asked meanwhile is answered when it goes on, and rightly.
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
    pause.undo();
    for asked in asked {
        let answer = asked.await??;
        cole_kripke::assert_right(&answer, &activity, 1.0)?;
    }
    Ok(())
}

/// The server is killed at some moment while a version is being published and clients ask. What they got was right, and the next server serves the old
/// version or the new one.
#[chaos(slow, network, non_destructive, timeout = "120s")]
async fn a_server_that_was_killed_is_followed_by_one_that_serves(cx: Context) -> Result {
    let repository = Repository::with_model(&cx)?;
    let activity = cole_kripke::activity(200, &mut cx.rng());
    let right = |answer: &Answer| -> Result<bool> {
        Ok(cole_kripke::is_right(answer, &activity, 1.0)?
            || cole_kripke::is_right(answer, &activity, 2.0)?)
    };
    for round in 1..=3 {
        let (process, client) = program(&cx, &format!("server {round}"), &repository)?;
        assert!(right(&answered(&client, &activity).await?)?);
        let killed = cx.inject(Kill::new(&process).within(Duration::from_millis(200)))?;
        repository.publish_scaled(MODEL, if round % 2 == 0 { 1.0 } else { 2.0 })?;
        while let Ok(answer) = client.infer(MODEL, &activity).await {
            assert!(answer.status != 200 || right(&answer)?, "{}", answer.text);
        }
        block_in_place(|| process.wait(PATIENCE))?;
        killed.undo();
    }
    let (_process, client) = program(&cx, "the last server", &repository)?;
    assert!(right(&answered(&client, &activity).await?)?);
    Ok(())
}

/// The server is killed while a model that computes without end is being tried out. The process that tries it must end with the server, and not at the end
/// of its time.
#[cfg(target_os = "linux")]
#[chaos(slow, network, non_destructive, timeout = "60s")]
async fn what_tries_a_model_out_ends_with_the_server(cx: Context) -> Result {
    const ENDLESS: &[u8] = include_bytes!("../tests/server/data/hostile/time_at_inference.onnx");
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
    repository.publish_bytes(MODEL, ENDLESS)?;
    let trying = loop {
        if let Some(busy) = busy_child_of(process.id()) {
            break busy;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    cx.inject(Kill::new(&process))?.until_end();
    while Stat::of(trying).is_some_and(|stat| stat.state != "Z") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// A process of another that has computed for a while, so that it no longer reads what it was sent.
#[cfg(target_os = "linux")]
fn busy_child_of(parent: u32) -> Option<u32> {
    /// Of 10 ms each.
    const TICKS: u64 = 20;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_busy = |stat: Stat| stat.parent == parent && stat.ticks >= TICKS;
    numbers.find(|number| Stat::of(*number).is_some_and(is_busy))
}

/// What `/proc/PID/stat` tells of a process (proc_pid_stat(5)).
#[cfg(target_os = "linux")]
struct Stat {
    state: String,
    parent: u32,
    /// The time that it has computed.
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
