//! Lookups of names at the test's own resolver, with each kind of fault.

use crate::waiting::PATIENCE;
use clarity_chaos::fault::{DnsFailure, DnsLatency, DnsSpoof};
use clarity_chaos::network::DnsError;
use clarity_chaos::{Context, Result, chaos};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};
use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Looks up a name with the C library. The addresses are sorted.
fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = (name, 80)
        .to_socket_addrs()?
        .map(|address| address.ip())
        .collect();
    addresses.sort();
    addresses.dedup();
    Ok(addresses)
}

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

/// Names with addresses of both versions are found, other names are not.
#[chaos(non_destructive)]
fn known_names(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    resolver.add("Both.Example.", Ipv4Addr::LOCALHOST);
    resolver.add("both.example", Ipv6Addr::LOCALHOST);
    assert_eq!(look_up("db.example")?, [ADDRESS]);
    assert_eq!(look_up("DB.example.")?, [ADDRESS]);
    assert!(look_up("both.example")?.contains(&Ipv4Addr::LOCALHOST.into()));
    assert!(look_up("other.example").is_err());
    assert!(cx.resolver().is_err(), "a second resolver");
    drop(resolver);
    assert!(look_up("db.example").is_err());
    let resolver = cx.resolver()?;
    assert!(look_up("db.example").is_err());
    resolver.add("db.example", ADDRESS);
    assert_eq!(look_up("db.example")?, [ADDRESS]);
    Ok(())
}

/// Programs that the test starts use the resolver, too.
#[chaos(non_destructive)]
fn programs(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    let found = Command::new("getent")
        .args(["hosts", "db.example"])
        .output()?;
    let text = String::from_utf8_lossy(&found.stdout);
    assert!(text.starts_with("10.1.2.3"), "{found:?}");
    Ok(())
}

/// The lookups of one name fail, then those of all names.
#[chaos(non_destructive)]
fn failure(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    for name in ["one.example", "two.example"] {
        resolver.add(name, ADDRESS);
    }
    for error in [
        DnsError::ServerFailure,
        DnsError::NoSuchName,
        DnsError::Refused,
    ] {
        let fault = DnsFailure::new(&resolver).with_error(error);
        let one = cx.inject(fault.clone().of_name("One.Example"))?;
        assert!(look_up("one.example").is_err());
        assert_eq!(look_up("two.example")?, [ADDRESS]);
        one.undo();
        let all = cx.inject(fault)?;
        assert!(look_up("two.example").is_err());
        all.undo();
        assert_eq!(look_up("one.example")?, [ADDRESS]);
    }
    Ok(())
}

/// Starts a lookup on another thread. The result comes to the returned receiver.
fn look_up_later(name: &'static str) -> std::sync::mpsc::Receiver<io::Result<Vec<IpAddr>>> {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(look_up(name)));
    receiver
}

/// A lookup waits for an answer. After the undo, it is answered at once.
#[chaos(non_destructive)]
fn latency(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    let slow = DnsLatency::new(&resolver).with_delay(Duration::from_secs(3600));
    let slow = cx.inject(slow.of_name("db.example"))?;
    let lookup = look_up_later("db.example");
    assert!(lookup.recv_timeout(Duration::from_millis(300)).is_err());
    assert!(look_up("other.example").is_err(), "is not delayed");
    slow.undo();
    assert_eq!(lookup.recv_timeout(PATIENCE)??, [ADDRESS]);
    Ok(())
}

/// A lookup is not answered. After the undo, the C library's next attempt is.
#[chaos(non_destructive, timeout = "60s")]
fn silence(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    let silence = cx.inject(DnsFailure::new(&resolver).with_error(DnsError::Silence))?;
    let lookup = look_up_later("db.example");
    assert!(lookup.recv_timeout(Duration::from_millis(300)).is_err());
    silence.undo();
    assert_eq!(lookup.recv_timeout(PATIENCE)??, [ADDRESS]);
    Ok(())
}

/// The resolver lies about a name.
#[chaos(non_destructive)]
fn spoof(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    let liar = [IpAddr::V4(Ipv4Addr::new(10, 9, 9, 9))];
    let spoof = cx.inject(DnsSpoof::new(&resolver, "db.example", liar[0]))?;
    assert_eq!(look_up("db.example")?, liar);
    spoof.undo();
    assert_eq!(look_up("db.example")?, [ADDRESS]);
    Ok(())
}

/// Ends with a running resolver and waiting queries. The next test must not see them.
#[chaos(non_destructive)]
fn killed(cx: Context) -> Result {
    let resolver = cx.resolver()?;
    resolver.add("db.example", ADDRESS);
    cx.inject(DnsFailure::new(&resolver))?.until_end();
    std::process::abort()
}

/// Without a resolver, a lookup fails at once. No server is found, not even a silent one.
#[chaos(non_destructive)]
fn without_resolver(_cx: Context) -> Result {
    let lookup = look_up_later("db.example");
    // A silent server would take 10 s.
    assert!(lookup.recv_timeout(Duration::from_secs(4))?.is_err());
    Ok(())
}
