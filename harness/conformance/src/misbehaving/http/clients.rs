//! Clients that nobody of this project wrote: curl and Python's `http.client`.

use super::server::{self, LENGTH};
use clarity_chaos::fault::{HttpSlowHead, HttpStatus, HttpTruncatedBody};
use clarity_chaos::{Context, Result, chaos};
use std::io::ErrorKind;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs a program while the test's server goes on. Skips the test if the program is missing.
pub(super) async fn run(cx: &Context, program: &'static str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            cx.skip(format!("there is no {program}"))?;
            Err(error.into())
        }
        output => Ok(output?),
    }
}

/// Runs curl with a limit of its own, and returns its exit code and its output.
pub(super) async fn curl(cx: &Context, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let all = [&["-sS", "-m", "20", "--noproxy", "*"], arguments].concat();
    let output = run(cx, "curl", &all).await?;
    cx.note(String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status.code(), text))
}

/// curl sees the status and the field, and keeps the connection.
#[chaos(non_destructive, timeout = "60s")]
async fn curl_status(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let replaced = HttpStatus::new(&link).with_status(503).nth(2);
    let replaced = cx.inject(replaced.with_retry_after(Duration::ZERO))?;
    let url = format!("http://{}/chunked", link.addr());
    let format = "%{http_code} %{num_connects}\n";
    let pages = [
        "-w",
        format,
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
    ];
    let urls = [&url[..], &url, &url];
    let (code, text) = curl(&cx, &[&pages[..], &urls].concat()).await?;
    assert_eq!((code, &text[..]), (Some(0), "200 1\n503 0\n200 0\n"));
    replaced.undo();
    Ok(())
}

/// curl asks again after a status that is worth it.
#[chaos(non_destructive, timeout = "60s")]
async fn curl_retry(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let replaced = HttpStatus::new(&link).with_status(503).nth(1);
    let second = Duration::from_secs(1);
    cx.inject(replaced.with_retry_after(second))?.until_end();
    let url = format!("http://{}/sized", link.addr());
    let page = cx.dir().join("page");
    let page = page.to_str().ok_or("the path is no text")?;
    let began = Instant::now();
    let retries = ["--retry", "1", "-w", "%{http_code}", "-o", page, &url];
    let (code, text) = curl(&cx, &retries).await?;
    assert_eq!((code, &text[..]), (Some(0), "200"));
    assert!(began.elapsed() >= second);
    assert_eq!(server.requests(), 2);
    Ok(())
}

/// curl sends a body only after `100 Continue`, which is no response.
#[chaos(non_destructive, timeout = "60s")]
async fn curl_continue(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link).with_status(504).nth(1))?
        .until_end();
    let body = "x".repeat(3000);
    let url = format!("http://{}/sized", link.addr());
    let waits = ["--expect100-timeout", "15", "-H", "Expect: 100-continue"];
    let sends = ["-d", &body, "-i", &url];
    let (code, text) = curl(&cx, &[&waits[..], &sends].concat()).await?;
    assert_eq!(code, Some(0));
    assert!(
        text.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 504"),
        "{text}"
    );
    Ok(())
}

/// curl knows a body that ends early: its exit code is 18, or 56 before the first byte.
#[chaos(non_destructive, timeout = "60s")]
async fn curl_truncated_body(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpTruncatedBody::new(&link).after(10))?
        .until_end();
    for path in ["sized", "chunked"] {
        let url = format!("http://{}/{path}", link.addr());
        let (code, text) = curl(&cx, &[&url]).await?;
        assert_eq!((code, &text[..]), (Some(18), "xxxxxxxxxx"), "{path}");
    }
    // A response without a body has none to truncate.
    let url = format!("http://{}/sized", link.addr());
    assert_eq!(curl(&cx, &["-I", &url]).await?.0, Some(0));
    Ok(())
}

/// curl gives up while a head comes byte by byte.
#[chaos(non_destructive, timeout = "60s")]
async fn curl_slow_head(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    let slow = HttpSlowHead::new(&link).by_bytes();
    cx.inject(slow.with_delay(Duration::from_millis(200)))?
        .until_end();
    let url = format!("http://{}/sized", link.addr());
    assert_eq!(curl(&cx, &["-m", "1", &url]).await?.0, Some(28));
    Ok(())
}

/// A script of Python that gets the address of a link.
const SCRIPT: &str = r#"
import http.client, sys
host, port = sys.argv[1].split(":")
def connect():
    return http.client.HTTPConnection(host, int(port), timeout=20)
client = connect()
for path, status in [("/sized", 200), ("/chunked", 500), ("/empty", 204)]:
    client.request("GET", path)
    response = client.getresponse()
    body = response.read()
    assert response.status == status, (path, response.status)
    print(path, response.status, len(body) > 0)
client = connect()
client.request("HEAD", "/sized")
assert client.getresponse().read() == b""
for path in ["/sized", "/chunked"]:
    client = connect()
    client.request("GET", path)
    try:
        client.getresponse().read()
        raise SystemExit("a truncated body was taken for a complete one")
    except http.client.IncompleteRead as error:
        print(path, len(error.partial))
"#;

/// Python's client sees the status, and bodies that end early.
#[chaos(non_destructive, timeout = "60s")]
async fn python(cx: Context) -> Result {
    let server = server::start().await?;
    let link = cx.link("web", server.addr)?;
    cx.inject(HttpStatus::new(&link).with_status(500).nth(2))?
        .until_end();
    // The bodies before are those of `/sized` and of the replacement.
    let all = HttpTruncatedBody::new(&link).after(7);
    cx.inject(all.clone().nth(3))?.until_end();
    cx.inject(all.nth(4))?.until_end();
    let output = run(&cx, "python3", &["-c", SCRIPT, &link.addr().to_string()]).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let expected = "/sized 200 True\n/chunked 500 True\n/empty 204 False\n";
    // For a chunked body, Python loses the bytes of an incomplete chunk.
    assert_eq!(
        text,
        format!("{expected}/sized 7\n/chunked 0\n"),
        "{LENGTH}"
    );
    Ok(())
}
