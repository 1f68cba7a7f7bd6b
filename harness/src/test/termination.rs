//! Handles `SIGTERM`: undoes the faults of the test, then ends the test's process.
//!
//! The supervisor sends `SIGTERM` when the test exceeds its timeout, or when the run is
//! interrupted. The first fault installs the handler. Without the handler, `SIGTERM` ends the
//! process at once.

use std::io;

#[cfg(unix)]
pub(crate) use unix::TerminationHandler;

/// The name of the handler's thread.
pub(crate) const THREAD: &str = "clarity-chaos";

#[cfg(unix)]
mod unix {
    use super::{THREAD, io};
    use signal_hook::SigId;
    use signal_hook::consts::SIGTERM;
    use signal_hook::low_level::{emulate_default_handler, pipe, unregister};
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::thread::{self, JoinHandle};

    /// The handler of `SIGTERM`. Clones share one handler.
    #[derive(Clone, Debug)]
    pub(crate) struct TerminationHandler {
        installed: Arc<Mutex<Option<InstalledHandler>>>,
        /// Whether this process runs one test only. In a shared process, the signal is not meant
        /// for the test.
        is_dedicated: bool,
    }

    #[derive(Debug)]
    struct InstalledHandler {
        sender: UnixStream,
        registration: SigId,
        thread: JoinHandle<()>,
    }

    /// The byte with which [`TerminationHandler::uninstall`] ends the handler's thread. The signal
    /// handler writes another byte.
    const STOP: u8 = b's';

    impl TerminationHandler {
        pub(crate) fn new(is_dedicated: bool) -> Self {
            Self {
                installed: Arc::default(),
                is_dedicated,
            }
        }

        /// Installs the handler. On `SIGTERM`, the handler calls `undo` and then ends the process.
        /// Does nothing if the handler is already installed, or the process is shared.
        ///
        /// # Errors
        ///
        /// When no thread can be started, or no descriptor is free.
        pub(crate) fn install(&self, undo: impl FnOnce() + Send + 'static) -> io::Result<()> {
            let mut installed = self.lock();
            if !self.is_dedicated || installed.is_some() {
                return Ok(());
            }
            let (mut receiver, sender) = UnixStream::pair()?;
            let thread = thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || {
                    let mut byte = [0];
                    if receiver.read_exact(&mut byte).is_ok() && byte[0] != STOP {
                        undo();
                        let _ = emulate_default_handler(SIGTERM);
                    }
                })?;
            *installed = Some(InstalledHandler {
                registration: pipe::register(SIGTERM, sender.try_clone()?)?,
                sender,
                thread,
            });
            Ok(())
        }

        /// Uninstalls the handler. Call this method only after all faults have been undone.
        pub(crate) fn uninstall(&self) {
            if let Some(mut installed) = self.lock().take() {
                unregister(installed.registration);
                // The thread still waits for a byte: an earlier signal would have ended the
                // process.
                if installed.sender.write_all(&[STOP]).is_ok() {
                    let _ = installed.thread.join();
                }
            }
        }

        fn lock(&self) -> MutexGuard<'_, Option<InstalledHandler>> {
            self.installed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// A handler that does nothing, for systems without `SIGTERM`.
#[cfg(not(unix))]
#[derive(Clone, Debug)]
pub(crate) struct TerminationHandler;

#[cfg(not(unix))]
impl TerminationHandler {
    pub(crate) fn new(_is_dedicated: bool) -> Self {
        Self
    }

    pub(crate) fn install(&self, _undo: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let _ = THREAD;
        Ok(())
    }

    pub(crate) fn uninstall(&self) {}
}
