//! Handles `SIGTERM`: undoes the faults of the test, then ends the test's process.
//!
//! The supervisor sends `SIGTERM` when the test exceeds its timeout, or when the run is
//! interrupted. The first fault installs the handler. Without the handler, `SIGTERM` ends the
//! process at once.

#[cfg(target_os = "linux")]
use rustix::process::Pid;
use std::io;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicI32, Ordering};

#[cfg(unix)]
pub(crate) use unix::TerminationHandler;

/// The name of the handler's thread.
pub(crate) const THREAD: &str = "clarity-chaos";

/// The number of the handler's thread; 0 if no handler was installed in this process.
#[cfg(target_os = "linux")]
static HANDLER_THREAD: AtomicI32 = AtomicI32::new(0);

/// Returns the number of the handler's thread.
#[cfg(target_os = "linux")]
pub(crate) fn handler_thread() -> Option<Pid> {
    Pid::from_raw(HANDLER_THREAD.load(Ordering::Acquire))
}

#[cfg(unix)]
mod unix {
    use super::{THREAD, io};
    use crate::os::termination_signal::TerminationSignal;
    use signal_hook::consts::SIGTERM;
    use signal_hook::low_level::emulate_default_handler;
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
        signal: TerminationSignal,
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
                    #[cfg(target_os = "linux")]
                    super::HANDLER_THREAD.store(
                        rustix::thread::gettid().as_raw_nonzero().get(),
                        super::Ordering::Release,
                    );
                    let mut byte = [0];
                    if receiver.read_exact(&mut byte).is_ok() && byte[0] != STOP {
                        undo();
                        let _ = emulate_default_handler(SIGTERM);
                    }
                })?;
            *installed = Some(InstalledHandler {
                signal: TerminationSignal::install(sender.try_clone()?)?,
                sender,
                thread,
            });
            Ok(())
        }

        /// Uninstalls the handler. Call this method only after all faults have been undone.
        pub(crate) fn uninstall(&self) {
            if let Some(mut installed) = self.lock().take() {
                drop(installed.signal);
                // The thread still waits for a byte: an earlier signal would have ended the
                // process.
                if installed.sender.write_all(&[STOP]).is_ok() {
                    let _ = installed.thread.join();
                }
                // The kernel can give the number to another thread.
                #[cfg(target_os = "linux")]
                super::HANDLER_THREAD.store(0, super::Ordering::Release);
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
