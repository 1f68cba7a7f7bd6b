//! The polite request to end a test, `SIGTERM`: faults are undone first.
//!
//! It comes from the supervisor when the test's time is up or the run is interrupted. Without faults in effect there is nothing to do, and the request
//! ends the process at once, as it does by default; so nobody listens before the first fault.

use std::io;

#[cfg(unix)]
pub(crate) use unix::EndRequest;

/// What the thread that listens is called.
pub(crate) const THREAD: &str = "clarity-chaos";

#[cfg(unix)]
mod unix {
    use super::{THREAD, io};
    use signal_hook::SigId;
    use signal_hook::consts::SIGTERM;
    use signal_hook::low_level::{emulate_default_handler, pipe, unregister};
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::{self, JoinHandle};

    /// Who listens, once somebody does. Clones are the same.
    #[derive(Clone, Debug)]
    pub(crate) struct EndRequest {
        listener: Arc<Mutex<Option<Listener>>>,
        /// Whether this process is the test's own, and the request to it means the test.
        is_ours: bool,
    }

    #[derive(Debug)]
    struct Listener {
        sender: UnixStream,
        handler: SigId,
        thread: JoinHandle<()>,
    }

    /// The word of [`EndRequest::stop`]; any other is the signal handler's.
    const STOP: u8 = b's';

    impl EndRequest {
        pub(crate) fn new(is_ours: bool) -> Self {
            Self {
                listener: Arc::default(),
                is_ours,
            }
        }

        /// Takes the request from now on, unless it does so already: calls `undo`, and then ends the process.
        ///
        /// # Errors
        ///
        /// When there is no room for a thread or a descriptor.
        pub(crate) fn listen(&self, undo: impl FnOnce() + Send + 'static) -> io::Result<()> {
            let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_ours || listener.is_some() {
                return Ok(());
            }
            let (mut news, sender) = UnixStream::pair()?;
            let thread = thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || {
                    let mut word = [0];
                    if news.read_exact(&mut word).is_ok() && word[0] != STOP {
                        undo();
                        let _ = emulate_default_handler(SIGTERM);
                    }
                })?;
            *listener = Some(Listener {
                handler: pipe::register(SIGTERM, sender.try_clone()?)?,
                sender,
                thread,
            });
            Ok(())
        }

        /// Listens no more; the faults have been undone.
        pub(crate) fn stop(&self) {
            let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(mut listener) = listener.take() {
                unregister(listener.handler);
                // It has not ended: only the request ends it, and the process with it.
                if listener.sender.write_all(&[STOP]).is_ok() {
                    let _ = listener.thread.join();
                }
            }
        }
    }
}

/// Nobody is asked to end here.
#[cfg(not(unix))]
#[derive(Clone, Debug)]
pub(crate) struct EndRequest;

#[cfg(not(unix))]
impl EndRequest {
    pub(crate) fn new(_is_ours: bool) -> Self {
        Self
    }

    pub(crate) fn listen(&self, _undo: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let _ = THREAD;
        Ok(())
    }

    pub(crate) fn stop(&self) {}
}
