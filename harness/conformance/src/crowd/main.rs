//! A thousand well-behaved tests. Each test must pass unless it is killed.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result};
use std::fs;
use std::process::Command;
use std::thread;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Writes a file, and reads it in a thread. On average, one call of this function in 50 also runs a
/// child process.
///
/// The thread and the child process end before the function returns.
fn work(cx: &Context) -> Result {
    let mut rng = cx.rng();
    let content: [u8; 32] = rng.random();
    let path = cx.dir().join("file");
    fs::write(&path, content)?;
    let read = thread::spawn(move || fs::read(path));
    let read = read.join().map_err(|_| "the reader has panicked")??;
    assert_eq!(read, content);
    if rng.random_ratio(1, 50) {
        assert!(Command::new("true").status()?.success());
    }
    Ok(())
}

/// Sends 16 bytes to an echo server on loopback, and checks the answer.
async fn talk(cx: &Context) -> Result {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let (mut reader, mut writer) = stream.split();
        tokio::io::copy(&mut reader, &mut writer).await
    });
    let mut stream = TcpStream::connect(address).await?;
    let sent: [u8; 16] = cx.rng().random();
    stream.write_all(&sent).await?;
    stream.shutdown().await?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received).await?;
    assert_eq!(received, sent);
    echo.await??;
    Ok(())
}

/// Defines ten modules, `m0` to `m9`, each with the items of the macro `$inner`.
macro_rules! ten {
    ($inner:ident) => {
        ten!($inner: m0 m1 m2 m3 m4 m5 m6 m7 m8 m9);
    };
    ($inner:ident: $($module:ident)*) => {
        $(mod $module { $inner!(); })*
    };
}

macro_rules! hundreds {
    () => {
        ten!(tens);
    };
}

macro_rules! tens {
    () => {
        workers!(w0 w1 w2 w3 w4 w5 w6 w7 w8);

        /// Exchanges bytes with an echo server, and leaks nothing.
        #[clarity_chaos::chaos(non_destructive)]
        async fn talks(cx: clarity_chaos::Context) -> clarity_chaos::Result {
            crate::talk(&cx).await
        }
    };
}

macro_rules! workers {
    ($($name:ident)*) => {
        $(
            /// Uses a file, a thread and sometimes a child process, and leaks nothing.
            #[clarity_chaos::chaos(non_destructive)]
            fn $name(cx: clarity_chaos::Context) -> clarity_chaos::Result {
                crate::work(&cx)
            }
        )*
    };
}

ten!(hundreds);

clarity_chaos::main!();
