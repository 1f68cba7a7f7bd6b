//! A server that answers each connection with the bytes that it reads, in one piece at their end.
//!
//! `echo tcp ADDRESS` listens at an address, and prints it. `echo unix PATH` listens at a path.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::ExitCode;
use std::thread;

fn answer(mut stream: impl Read + Write) -> io::Result<()> {
    let mut request = Vec::new();
    stream.read_to_end(&mut request)?;
    stream.write_all(&request)
}

fn serve_tcp(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || {
            let answered = answer(&stream);
            stream.shutdown(Shutdown::Both).and(answered)
        });
    }
}

#[cfg(unix)]
fn serve_unix(path: &str) -> io::Result<()> {
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    loop {
        let (stream, _) = listener.accept()?;
        thread::spawn(move || answer(stream));
    }
}

#[cfg(not(unix))]
fn serve_unix(_path: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let served = match &words[..] {
        [kind, address] if kind == "tcp" => serve_tcp(address),
        [kind, path] if kind == "unix" => serve_unix(path),
        _ => Err(io::Error::other("expected `tcp ADDRESS` or `unix PATH`")),
    };
    if let Err(error) = served {
        eprintln!("{error}");
    }
    ExitCode::FAILURE
}
