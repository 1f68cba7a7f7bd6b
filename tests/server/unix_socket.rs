//! A server on a Unix socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use clarity::{BindError, Inline, ListenAddress, Server};
use clarity_testbed::*;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::CLARITY;

async fn listen(models: &Repository, path: &Path) -> Result<Server, BindError> {
    let builder = Server::builder(models.root()).config(config());
    let address = ListenAddress::Unix(path.to_owned());
    let server = builder.executor(Inline).listen(&address).await?;
    server.models().settled().await;
    Ok(server)
}

/// Sends a prediction request over a new connection. Returns the status and the body.
async fn predict(path: &Path) -> std::io::Result<(u16, String)> {
    let stream = UnixStream::connect(path).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(INFER).header("host", "clarity");
    let body = Full::new(Bytes::from(short_request().to_string()));
    let response = sender.send_request(request.body(body).unwrap());
    let response = within("a response", response).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

#[tokio::test]
async fn unix_socket_answers_and_its_file_goes_with_the_server() {
    let models = Repository::temporary_with_model();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clarity.sock");
    let server = listen(&models, &path).await.unwrap();
    assert_eq!(server.to_string(), format!("unix:{}", path.display()));
    assert_eq!(predict(&path).await.unwrap(), (200, SHORT_ANSWER.into()));
    let metadata = fs::symlink_metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert!(within("the shutdown", server.shutdown()).await);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let server = listen(&models, &path).await.unwrap();
    drop(server);
    until("the removal of the file", || !path.exists()).await;
}

#[tokio::test]
async fn stale_socket_is_replaced_and_other_files_are_not() {
    let models = Repository::temporary_with_model();
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("stale");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let server = listen(&models, &stale).await.unwrap();
    assert_eq!(predict(&stale).await.unwrap().0, 200);

    let error = listen(&models, &stale).await.unwrap_err().to_string();
    let says = format!("cannot listen on unix:{}: another server", stale.display());
    assert!(error.starts_with(&says), "{error}");
    assert_eq!(predict(&stale).await.unwrap().0, 200);
    drop(server);

    let file = dir.path().join("file");
    fs::write(&file, "data").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        let error = listen(&models, path).await.unwrap_err().to_string();
        assert!(error.contains("another file than a socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
    let nowhere = dir.path().join("none/socket");
    let error = listen(&models, &nowhere).await.unwrap_err().to_string();
    assert!(error.contains("cannot open the directory"), "{error}");
}

/// Another server has replaced the file: it is not removed.
#[tokio::test]
async fn file_of_another_server_stays() {
    let models = Repository::temporary_with_model();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clarity.sock");
    let server = listen(&models, &path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    assert!(within("the shutdown", server.shutdown()).await);
    assert!(path.exists());
}

/// Another server that starts holds the lock, and could take a new socket for a stale one.
#[tokio::test(start_paused = true)]
async fn locked_directory_is_waited_for_and_then_refused() {
    let models = Repository::temporary();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clarity.sock");
    drop(UnixListener::bind(&path).unwrap());
    let lock = fs::File::open(dir.path()).unwrap();
    lock.lock().unwrap();
    let started = tokio::time::Instant::now();
    let error = listen(&models, &path).await.unwrap_err().to_string();
    assert!(error.contains("holds a lock"), "{error}");
    assert!(started.elapsed().as_secs_f64() >= 1.0, "{started:?}");
    drop(lock);
    listen(&models, &path).await.unwrap();
}

/// Starts many servers on one stale path at once: one gets it, and the others say why not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_servers_gets_a_stale_path() {
    let models = Arc::new(Repository::temporary());
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = dir.path().join(round.to_string());
        drop(UnixListener::bind(&path).unwrap());
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (models, path) = (Arc::clone(&models), path.clone());
                tokio::spawn(async move { listen(&models, &path).await })
            })
            .collect();
        let mut servers = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(server) => servers.push(server),
                Err(error) => assert!(error.to_string().contains("another server"), "{error}"),
            }
        }
        assert_eq!(servers.len(), 1);
        UnixStream::connect(&path).await.unwrap();
    }
}

fn spawn(models: &Repository, path: &Path) -> Child {
    use std::io::{BufRead as _, BufReader};

    let mut serve = command(CLARITY);
    serve.args(["serve", "--drain-delay", "0s", "--models"]);
    serve.arg(models.root()).arg("--listen");
    serve.arg(format!("unix:{}", path.display()));
    let mut child = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, format!("listening on unix:{}\n", path.display()));
    child
}

#[tokio::test]
async fn binary_starts_again_after_a_kill_and_cleans_up_after_sigterm() {
    let models = Repository::temporary_with_model();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clarity.sock");
    let mut killed = spawn(&models, &path);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(path.exists());
    let mut child = spawn(&models, &path);
    until_some("an answer", async || {
        let (status, _) = predict(&path).await.unwrap();
        (status == 200).then_some(())
    })
    .await;
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    let ended = until_some("the end of the server", async || child.try_wait().unwrap());
    assert_eq!(ended.await.code(), Some(0));
    assert!(!path.exists());
}
