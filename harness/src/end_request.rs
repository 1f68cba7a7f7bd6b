//! The polite request to end a test, `SIGTERM`: faults are undone first.
//!
//! It comes from the supervisor when the test's time is up or the run is interrupted. The main thread of a test's process does nothing but wait: for
//! the test's own thread, or for this.

use std::io;

/// Which came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The test's thread has ended.
    TestEnded,
    /// The process is asked to end.
    AskedToEnd,
}

#[cfg(unix)]
mod unix {
    use super::{Woken, io};
    use signal_hook::consts::SIGTERM;
    use signal_hook::low_level::{emulate_default_handler, pipe};
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    /// A place to wait for a thread, or for the request.
    #[derive(Debug)]
    pub(crate) struct EndRequest {
        news: UnixStream,
        sender: UnixStream,
    }

    /// Held by the thread that is waited for.
    #[derive(Debug)]
    pub(crate) struct Working(UnixStream);

    const DONE: u8 = b'd';

    impl EndRequest {
        /// Takes the request from now on; before, it ends the process.
        pub(crate) fn listen() -> io::Result<Self> {
            let (news, sender) = UnixStream::pair()?;
            pipe::register(SIGTERM, sender.try_clone()?)?;
            Ok(Self { news, sender })
        }

        pub(crate) fn working(&self) -> io::Result<Working> {
            Ok(Working(self.sender.try_clone()?))
        }

        /// Waits for the first.
        pub(crate) fn wait(&mut self) -> io::Result<Woken> {
            let mut word = [0];
            self.news.read_exact(&mut word)?;
            Ok(if word[0] == DONE {
                Woken::TestEnded
            } else {
                Woken::AskedToEnd
            })
        }

        /// Ends the process, as the request does when nobody listens.
        pub(crate) fn comply() -> io::Result<()> {
            emulate_default_handler(SIGTERM)
        }
    }

    impl Drop for Working {
        fn drop(&mut self) {
            // The other end is in this process and open.
            let _ = self.0.write_all(&[DONE]);
        }
    }
}

#[cfg(unix)]
pub(crate) use unix::EndRequest;

#[cfg(not(unix))]
mod elsewhere {
    use super::{Woken, io};
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A place to wait for a thread: nobody is asked to end here.
    #[derive(Debug)]
    pub(crate) struct EndRequest {
        sender: Option<Sender<()>>,
        done: Receiver<()>,
    }

    /// Held by the thread that is waited for.
    #[derive(Debug)]
    pub(crate) struct Working {
        _until_dropped: Sender<()>,
    }

    impl EndRequest {
        pub(crate) fn listen() -> io::Result<Self> {
            let (sender, done) = channel();
            Ok(Self {
                sender: Some(sender),
                done,
            })
        }

        pub(crate) fn working(&self) -> io::Result<Working> {
            let sender = self.sender.clone();
            Ok(Working {
                _until_dropped: sender.ok_or_else(|| io::Error::other("waited already"))?,
            })
        }

        pub(crate) fn wait(&mut self) -> io::Result<Woken> {
            self.sender = None;
            let _ = self.done.recv(); // fails when the last sender is gone: that is the news
            Ok(Woken::TestEnded)
        }

        pub(crate) fn comply() -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::EndRequest;
