//! A connection on which the test itself writes each byte.

use crate::{ManualClock, until_some, within};
use clarity_chaos::Result;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// The head of a POST request with a body of `length` bytes.
#[must_use]
pub fn post_head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: clarity\r\ncontent-length: {length}\r\n\r\n")
}

/// The head of a POST request with `expect: 100-continue` and a body of `length` bytes.
#[must_use]
pub fn expecting_head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: clarity\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// A TCP connection to a server. Every read has a [`LIMIT`](crate::LIMIT).
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub async fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        Ok(Self { stream })
    }

    /// Connects with a receive buffer of 4 KiB, so only a little of a response is in transit.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub async fn open_with_small_window(server: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let stream = socket.connect(server).await?;
        Ok(Self { stream })
    }

    /// The underlying TCP stream.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Reads the first line of a response up to the status, and returns the status.
    ///
    /// # Errors
    ///
    /// When the connection ends before the status, or the line is not one of HTTP/1.1.
    pub async fn read_status(&mut self) -> Result<u16> {
        let mut start = [0; 12];
        within("a status line", self.stream.read_exact(&mut start)).await?;
        let start = std::str::from_utf8(&start)?;
        let status = start.strip_prefix("HTTP/1.1 ");
        Ok(status
            .ok_or_else(|| format!("no status in {start:?}"))?
            .parse()?)
    }

    /// Reads one response, head and body. The head must announce the length of the body.
    ///
    /// # Errors
    ///
    /// When the connection ends before the response is whole.
    pub async fn read_response(&mut self) -> Result<String> {
        let mut response = String::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some((head, body)) = response.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                if body.len()
                    == length
                        .ok_or("the response has no length")?
                        .parse::<usize>()?
                {
                    return Ok(response);
                }
            }
            match within("the rest of a response", self.stream.read(&mut buffer)).await? {
                0 => return Err(format!("the connection ended after {response:?}").into()),
                read => response.push_str(std::str::from_utf8(&buffer[..read])?),
            }
        }
    }

    /// Reads until the server closes the connection.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        within(
            "the end of a connection",
            self.stream.read_to_end(&mut rest),
        )
        .await?;
        Ok(rest)
    }

    /// Advances the clock by `seconds` repeatedly until the server closes the connection. Returns
    /// the text that the server sent until then.
    ///
    /// # Panics
    ///
    /// When the server does not close the connection within [`LIMIT`](crate::LIMIT).
    pub async fn read_while_advancing(mut self, clock: &ManualClock, seconds: f64) -> String {
        let reading = tokio::spawn(async move {
            let mut rest = Vec::new();
            // An error means that the server closed while bytes were on their way to it.
            let _ = self.stream.read_to_end(&mut rest).await;
            String::from_utf8_lossy(&rest).into_owned()
        });
        // Advance repeatedly: no timer runs until the server has accepted the connection.
        until_some("the end of a connection", async || {
            if reading.is_finished() {
                return Some(());
            }
            clock.run_out(seconds).await;
            None
        })
        .await;
        reading.await.expect("reading does not panic")
    }
}
