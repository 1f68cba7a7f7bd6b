//! The addresses that a server listens on, and the admin listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use clarity::{Config, Inline, ListenAddress, Server, ServerBuilder};
use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;

use crate::CLARITY;

const TOKEN: &str = "0123456789abcdef";
const LOAD: &str = "/v2/repository/models/cole_kripke/load";
const PROBES: [&str; 4] = [
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/cole_kripke/ready",
    "/v2/models/cole_kripke/versions/1/ready",
];

fn builder(models: &Repository, config: Config) -> ServerBuilder {
    Server::builder(models.root()).config(config)
}

/// Starts a server with an admin listener. Returns it with a client of each listener.
async fn start_both(builder: ServerBuilder) -> (Server, Client, Client) {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (server, main) = start(builder.admin_listen(loopback)).await;
    let Some(ListenAddress::Ip(admin)) = server.admin_addresses().first() else {
        panic!("no admin listener: {server:?}");
    };
    let admin = Client::new(*admin);
    (server, main, admin)
}

async fn load(client: &Client) -> Response {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [("authorization", &*authorization)];
    let response = client.send(Method::POST, LOAD, &headers, Bytes::new());
    response.await.unwrap()
}

#[tokio::test]
async fn admin_listener_has_resources_of_its_own() {
    let mut config = config();
    config.admin_token = Some(TOKEN.parse().unwrap());
    let models = Repository::temporary_with_model();
    let (_server, main, admin) = start_both(builder(&models, config).executor(Inline)).await;
    for path in PROBES {
        for client in [&main, &admin] {
            assert_eq!(client.get(path).await.unwrap().status, 200, "{path}");
        }
    }
    assert_eq!(admin.get("/metrics").await.unwrap().status, 200);
    assert_eq!(load(&admin).await.status, 200);
    let unauthorized = admin.post_text(LOAD, "").await.unwrap();
    unauthorized.assert_problem(401, "unauthorized");
    for refused in [main.get("/metrics").await.unwrap(), load(&main).await] {
        refused.assert_problem(404, "not_found");
        refused.assert_says("is on the admin listener alone");
    }

    let answer = main.post(INFER, &short_request()).await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    for refused in [
        admin.post(INFER, &short_request()).await.unwrap(),
        admin.get("/v2").await.unwrap(),
        admin.get("/v2/models/cole_kripke").await.unwrap(),
    ] {
        refused.assert_problem(404, "not_found");
        refused.assert_says("is on the main listener alone");
    }
}

/// All connections of the main listener have running requests, and more clients wait.
#[tokio::test]
async fn admin_listener_answers_when_the_main_one_is_full() {
    const CONNECTIONS: usize = 8;
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let mut config = config();
    config.connections = CONNECTIONS;
    let builder = builder(&models, config).runtime(faulty.runtime());
    let (server, main, admin) = start_both(builder).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let body = short_request().to_string();
    let mut flood = Vec::new();
    for _ in 0..3 * CONNECTIONS {
        let mut client = Connection::open(main.server()).await.unwrap();
        client
            .send(post_head(INFER, body.len()) + &body[..body.len() - 1])
            .await
            .unwrap();
        flood.push(client);
    }
    flood[0].send(&body[body.len() - 1..]).await.unwrap();
    faulty.until_runs(runs + 1).await;
    for path in PROBES.into_iter().chain(["/metrics"]) {
        assert_eq!(admin.get(path).await.unwrap().status, 200, "{path}");
    }
    faulty.release();
    drop((flood, server));
}

/// During the drain, readiness and metrics stay visible until the last request is answered.
#[tokio::test]
async fn admin_listener_answers_until_the_drain_ends() {
    let _clock = ManualClock::start();
    let models = Repository::temporary_with_model();
    let faulty = FaultSwitch::new();
    let builder = builder(&models, config()).runtime(faulty.runtime());
    let (server, main, admin) = start_both(builder).await;
    faulty.set(Behaviour::Hang);
    let runs = faulty.runs();
    let (client, address) = (main.clone(), main.server());
    let running = tokio::spawn(async move { client.post(INFER, &short_request()).await.unwrap() });
    faulty.until_runs(runs + 1).await;
    let shutdown = tokio::spawn(server.shutdown());
    until_some("the refusal of a connection", async || {
        Connection::open(address).await.err()
    })
    .await;
    let ready = admin.get("/v2/health/ready").await.unwrap();
    ready.assert_problem(503, "shutting_down");
    assert_eq!(admin.get("/v2/health/live").await.unwrap().status, 200);
    assert_eq!(admin.get("/metrics").await.unwrap().status, 200);
    faulty.release();
    let answer = running.await.unwrap();
    assert_eq!(answer.body, SHORT_ANSWER);
    assert_eq!(answer.headers["connection"], "close");
    assert!(within("the shutdown", shutdown).await.unwrap());
    assert!(Connection::open(admin.server()).await.is_err());
}

#[tokio::test]
async fn host_name_and_bare_port_listen_on_each_address() {
    let models = Repository::temporary_with_model();
    for text in ["localhost:0", ":0"] {
        let builder = builder(&models, config()).executor(Inline);
        let server = builder.listen(&text.parse().unwrap()).await.unwrap();
        let port = server.local_addr().port();
        assert_ne!(port, 0);
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            // A machine without IPv6, or without a name for it, has one address.
            let mut named = ("localhost", 0).to_socket_addrs().unwrap();
            let is_meant = text == ":0" || named.any(|named| named.ip() == ip);
            if !is_meant || TcpListener::bind((ip, 0)).is_err() {
                assert!(ip.is_ipv6(), "{text}: this machine has no {ip}");
                continue;
            }
            let address = SocketAddr::new(ip, port);
            let live = Client::new(address).get("/v2/health/live").await;
            assert_eq!(live.unwrap().status, 200, "{text}: {address}");
        }
        assert!(server.shutdown().await);
    }
}

#[tokio::test]
async fn port_in_use_is_an_error_that_names_the_address() {
    let models = Repository::temporary_with_model();
    let (server, _client) = serve(&models).await;
    let port = server.local_addr().port();
    for text in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        let builder = builder(&models, config()).executor(Inline);
        let error = builder.listen(&text.parse().unwrap()).await.unwrap_err();
        let says = format!("cannot listen on {text}: ");
        assert!(error.to_string().starts_with(&says), "{error}");
    }
}

#[test]
fn invalid_addresses_and_conditions_are_usage_errors() {
    for (flag, value, says) in [
        ("--listen", "localhost", "the port is missing"),
        ("--listen", "http://localhost:80", "leave out the scheme"),
        ("--admin-listen", "unix:", "the path is missing"),
        ("--ready-when", "some", "expected any, all or loaded"),
    ] {
        let output = command(CLARITY).args(["serve", flag, value]).output();
        let output = output.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[tokio::test]
async fn binary_prints_both_addresses() {
    use std::io::{BufRead as _, BufReader};

    let models = Repository::temporary_with_model();
    let flags = ["--admin-listen", "localhost:0"];
    let mut server = ServerProcess::start(CLARITY, models.root(), &flags);
    server.until_status(200).await;
    let refused = server.client.get("/metrics").await.unwrap();
    refused.assert_problem(404, "not_found");
    let stdout = server.child.stdout.take().unwrap();
    let read = || BufReader::new(stdout).lines().next().unwrap().unwrap();
    let line = within("the second line", tokio::task::spawn_blocking(read)).await;
    let line = line.unwrap();
    let admin = line.strip_prefix("admin ").unwrap();
    let admin = Client::new(listening_address(admin).unwrap());
    assert_eq!(admin.get("/metrics").await.unwrap().status, 200);
}

/// The soft limit on open files would not suffice for the connections.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn soft_limit_on_open_files_is_raised_for_the_connections() {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    let models = Repository::temporary_with_model();
    for (limits, soft, warns) in [("-S -n 100", 1280, false), ("-n 300", 300, true)] {
        let mut shell = Command::new("sh");
        let script = format!("ulimit {limits}; exec \"$@\"");
        shell.args(["-c", &script, "sh", CLARITY, "serve", "--listen"]);
        shell.args(["127.0.0.1:0", "--models"]).arg(models.root());
        let mut server = ServerProcess::spawn(shell.stderr(Stdio::piped()));
        let path = format!("/proc/{}/limits", server.child.id());
        let all = std::fs::read_to_string(path).unwrap();
        let line = all.lines().find(|line| line.starts_with("Max open files"));
        let found = line.unwrap().split_whitespace().nth(3).unwrap();
        assert_eq!(found, soft.to_string());
        server.child.kill().unwrap();
        let mut log = String::new();
        let mut stderr = server.child.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        assert_eq!(log.contains("few open files allowed"), warns, "{log}");
    }
}
