//! Faults of new connections: connecting hangs, is refused, or succeeds and is then reset.

use crate::links::{Echo, ask, connect, is_timeout};
use crate::waiting::PATIENCE;
use clarity_chaos::fault::{ConnectionHang, ConnectionRefused, ConnectionReset};
use clarity_chaos::network::Link;
use clarity_chaos::{Context, Result, chaos};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The time for which a test waits for a connection that must not come.
const SHORT: Duration = Duration::from_millis(200);

/// The error of a connection attempt, within a short time.
fn connect_error(addr: SocketAddr) -> Option<ErrorKind> {
    TcpStream::connect_timeout(&addr, SHORT)
        .err()
        .map(|error| error.kind())
}

fn expect_echo(link: &Link) -> Result {
    assert_eq!(ask(&connect(link)?, "echo")?, "echo");
    Ok(())
}

/// Connecting hangs, also for many clients. After the undo, a waiting client is connected.
#[chaos(non_destructive, timeout = "60s")]
fn hang(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let old = connect(&link)?;
    ask(&old, "before")?;
    let hang = cx.inject(ConnectionHang::new(&link))?;
    for _ in 0..3 {
        assert_eq!(connect_error(link.addr()), Some(ErrorKind::TimedOut));
    }
    assert_eq!(ask(&old, "meanwhile")?, "meanwhile");
    let (sender, receiver) = channel();
    let waiting = thread::spawn({
        let addr = link.addr();
        move || -> std::io::Result<String> {
            sender.send(()).map_err(std::io::Error::other)?;
            let stream = TcpStream::connect(addr)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(&stream, "waited")
        }
    });
    receiver.recv()?;
    thread::sleep(SHORT);
    assert!(!waiting.is_finished());
    hang.undo();
    expect_echo(&link)?;
    // The kernel's next attempt comes after 1, 3 or 7 s.
    assert_eq!(waiting.join().unwrap()?, "waited");
    Ok(())
}

/// Connecting is refused, as where no server listens. No other socket gets the port meanwhile.
#[chaos(non_destructive)]
fn refusal(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let old = connect(&link)?;
    ask(&old, "before")?;
    for _ in 0..3 {
        let refusal = cx.inject(ConnectionRefused::new(&link))?;
        let error = connect_error(link.addr());
        assert_eq!(error, Some(ErrorKind::ConnectionRefused));
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        assert_ne!(taken.local_addr()?, link.addr());
        assert_eq!(ask(&old, "meanwhile")?, "meanwhile");
        refusal.undo();
        expect_echo(&link)?;
    }
    Ok(())
}

/// Connecting succeeds, and the connection is then reset. An existing connection still works.
#[chaos(non_destructive)]
fn reset(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let old = connect(&link)?;
    ask(&old, "before")?;
    let reset = cx.inject(ConnectionReset::new(&link))?;
    let error = connect(&link)
        .and_then(|stream| ask(&stream, "x"))
        .unwrap_err();
    assert!(!is_timeout(&error), "{error}");
    assert_eq!(ask(&old, "meanwhile")?, "meanwhile");
    reset.undo();
    expect_echo(&link)
}

/// Of several faults in effect, a refusal wins. Each one is undone alone.
#[chaos(non_destructive)]
fn together(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let hang = cx.inject(ConnectionHang::new(&link))?;
    let again = cx.inject(ConnectionHang::new(&link))?;
    let refusal = cx.inject(ConnectionRefused::new(&link))?;
    let refused = Some(ErrorKind::ConnectionRefused);
    assert_eq!(connect_error(link.addr()), refused);
    refusal.undo();
    assert_eq!(connect_error(link.addr()), Some(ErrorKind::TimedOut));
    again.undo();
    assert_eq!(connect_error(link.addr()), Some(ErrorKind::TimedOut));
    hang.undo();
    expect_echo(&link)
}

/// The faults begin and end while clients connect all the time. Each connection that was made
/// echoes, or its client gets an error.
#[chaos(non_destructive)]
fn while_clients_connect(cx: Context) -> Result {
    let server = Echo::start()?;
    let link = cx.link("echo", server.addr)?;
    let (addr, mut clients) = (link.addr(), Vec::new());
    for _ in 0..4 {
        clients.push(thread::spawn(move || {
            let mut echoed = 0;
            for _ in 0..50 {
                let Ok(stream) = TcpStream::connect_timeout(&addr, SHORT) else {
                    continue;
                };
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                match ask(&stream, "echo") {
                    Ok(answer) => echoed += usize::from(answer == "echo"),
                    Err(error) => assert!(!is_timeout(&error), "{error}"),
                }
            }
            echoed
        }));
    }
    for _ in 0..10 {
        cx.inject(ConnectionRefused::new(&link))?.undo();
        cx.inject(ConnectionHang::new(&link))?.undo();
        thread::sleep(Duration::from_millis(5));
    }
    for client in clients {
        client.join().unwrap();
    }
    expect_echo(&link)
}

/// The link is dropped during the faults. No thread, no descriptor and no listening port is left.
#[chaos(non_destructive)]
fn dropped(cx: Context) -> Result {
    let server = Echo::start()?;
    for _ in 0..2 {
        let hanging = cx.link("hanging", server.addr)?;
        let refusing = cx.link("refusing", server.addr)?;
        let hang = cx.inject(ConnectionHang::new(&hanging))?;
        cx.inject(ConnectionRefused::new(&refusing))?.until_end();
        let addr = hanging.addr();
        drop(hanging);
        drop(refusing);
        assert_eq!(connect_error(addr), Some(ErrorKind::ConnectionRefused));
        hang.undo();
        assert_eq!(connect_error(addr), Some(ErrorKind::ConnectionRefused));
    }
    Ok(())
}
