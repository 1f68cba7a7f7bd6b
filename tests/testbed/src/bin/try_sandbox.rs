//! A worker whose model answers with the outcome of everything that its sandbox must forbid.
//!
//! The arguments are the process ID of the server, a port of 127.0.0.1 with a listener, a file of
//! the store, and a path for a new file. With a fifth argument, does the same without a sandbox,
//! and prints the outcomes.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::fs::File;
    use std::io;
    use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    use std::os::unix::process::CommandExt;
    use std::process::Command;
    use std::sync::Arc;

    use clarity::{
        DataType, Dimension, RunError, Runtime, RuntimeError, Session, Tensor, TensorData,
        TensorSpec, VerifiedVersion,
    };
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    use rustix::process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, pidfd_open, setrlimit,
    };

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        let attempts = Attempts::from_args().ok_or("expected PID PORT FILE PATH")?;
        if std::env::args().nth(5).is_some() {
            println!("{}", attempts.all().join("\n"));
            println!("{}", attempts.exec());
            return Ok(());
        }
        clarity::serve_worker(|_| Ok(Arc::new(TryingRuntime(attempts))))?;
        Ok(())
    }

    /// What a worker must not do.
    #[derive(Debug)]
    struct Attempts {
        server: Pid,
        port: u16,
        stored: String,
        new: String,
        /// A socket from before the lock-down, as a library could leave one.
        unbound: OwnedFd,
        unconnected: OwnedFd,
    }

    impl Attempts {
        fn from_args() -> Option<Self> {
            let mut args = std::env::args().skip(1);
            let socket = || socket(AddressFamily::INET, SocketType::STREAM, None).ok();
            Some(Self {
                server: Pid::from_raw(args.next()?.parse().ok()?)?,
                port: args.next()?.parse().ok()?,
                stored: args.next()?,
                new: args.next()?,
                unbound: socket()?,
                unconnected: socket()?,
            })
        }

        /// Tries everything. Returns a line for each attempt.
        fn all(&self) -> Vec<String> {
            let local = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
            let server = self.server.as_raw_nonzero();
            let unlimited = Rlimit {
                current: None,
                maximum: None,
            };
            vec![
                line("socket", UdpSocket::bind(local(0))),
                line("unix socket", UnixDatagram::unbound()),
                line("bind", bind(&self.unbound, &local(0))),
                line("connect", connect(&self.unconnected, &local(self.port))),
                line("create a file", File::create(&self.new)),
                line("open the store", File::open(&self.stored)),
                line("open a file", File::open("/proc/self/status")),
                line(
                    "open the server's files",
                    File::open(format!("/proc/{server}/fd/0")),
                ),
                line("fork", Command::new("/bin/true").status()),
                line("signal", kill_process(self.server, Signal::CONT)),
                line("pidfd", pidfd_open(self.server, PidfdFlags::empty())),
                line("raise a limit", setrlimit(Resource::Data, unlimited)),
            ]
        }

        /// Returns only if the attempt fails.
        fn exec(&self) -> String {
            let error = Command::new("/bin/true").exec();
            line("exec", Err::<(), _>(error))
        }
    }

    fn line<T, E: Into<io::Error>>(name: &str, outcome: Result<T, E>) -> String {
        match outcome {
            Ok(_) => format!("{name}: allowed"),
            Err(error) => format!("{name}: {}", error.into().kind()),
        }
    }

    /// Loads any version as a model that makes the attempts.
    #[derive(Debug)]
    struct TryingRuntime(Attempts);

    impl Runtime for TryingRuntime {
        fn load(&self, _version: VerifiedVersion) -> Result<Box<dyn Session>, RuntimeError> {
            let shape = vec![Dimension::Dynamic(None)];
            let mut lines = self.0.all();
            lines.push(self.0.exec());
            Ok(Box::new(Outcomes {
                lines,
                outputs: vec![TensorSpec::new("outcomes", DataType::Bytes, Some(shape))],
            }))
        }
    }

    #[derive(Debug)]
    struct Outcomes {
        lines: Vec<String>,
        outputs: Vec<TensorSpec>,
    }

    impl Session for Outcomes {
        fn inputs(&self) -> &[TensorSpec] {
            &[]
        }

        fn outputs(&self) -> &[TensorSpec] {
            &self.outputs
        }

        fn run(&self, _inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
            let lines = TensorData::Bytes(self.lines.iter().map(String::as_str).collect());
            let tensor = Tensor::new(vec![self.lines.len()], lines);
            tensor
                .map(|tensor| vec![tensor])
                .ok_or_else(|| RunError::Failed("shape".to_owned()))
        }
    }
}
