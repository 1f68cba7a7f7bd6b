//! Wakes the loaders of models whose directories change, on Linux.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

/// Watches directories for changes with inotify.
///
/// On other systems, and if the kernel refuses a watch, changes are found by polls alone. The same
/// holds for directories inside of a version, and for changes that another machine makes on a
/// network file system.
#[derive(Debug)]
pub(crate) struct DiskWatch {
    #[cfg(target_os = "linux")]
    inotify: Option<inotify::Inotify>,
}

impl DiskWatch {
    /// Opens inotify.
    pub(crate) fn open() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            inotify: inotify::Inotify::open()
                .inspect_err(|error| {
                    tracing::info!(detail = %error, "no inotify: changes on disk are found by polls alone");
                })
                .ok(),
        }
    }

    /// Wakes `changed` after each later change in `directory`. Returns whether the directory was
    /// not watched before. Does nothing if the directory is missing.
    pub(super) fn watch(&self, directory: &Path, changed: &Arc<Notify>) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(inotify) = &self.inotify {
            return inotify.watch(directory, changed);
        }
        let _ = (directory, changed);
        false
    }

    /// Reads the changes since the last call, and wakes their loaders. Does not block.
    pub(crate) fn wake_loaders(&self) {
        #[cfg(target_os = "linux")]
        if let Some(inotify) = &self.inotify
            && let Err(error) = inotify.wake_loaders()
        {
            tracing::warn!(detail = %error, "cannot read from inotify: changes on disk are found by polls");
        }
    }
}

#[cfg(target_os = "linux")]
mod inotify {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;
    use tokio::sync::Notify;

    /// An instance of inotify, and the loader of each watched directory.
    #[derive(Debug)]
    pub(super) struct Inotify {
        descriptor: OwnedFd,
        loaders: Mutex<HashMap<i32, Arc<Notify>>>,
        has_warned: AtomicBool,
    }

    impl Inotify {
        pub(super) fn open() -> io::Result<Self> {
            let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            Ok(Self {
                descriptor,
                loaders: Mutex::default(),
                has_warned: AtomicBool::new(false),
            })
        }

        pub(super) fn watch(&self, directory: &Path, changed: &Arc<Notify>) -> bool {
            let changes = WatchFlags::ATTRIB
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MODIFY
                | WatchFlags::MOVE
                | WatchFlags::ONLYDIR;
            // With the lock, no event of this watch is read before its loader is known.
            let mut loaders = self.loaders();
            let watch = match inotify::add_watch(&self.descriptor, directory, changes) {
                Ok(watch) => watch,
                Err(Errno::NOSPC) if !self.has_warned.swap(true, Ordering::Relaxed) => {
                    let advice = "raise the sysctl fs.inotify.max_user_watches";
                    tracing::warn!(
                        advice,
                        "too many directories for inotify: changes in some are found by polls alone"
                    );
                    return false;
                }
                Err(error) => {
                    let directory = directory.display();
                    tracing::debug!(%directory, detail = %error, "directory not watched");
                    return false;
                }
            };
            match loaders.entry(watch) {
                Entry::Occupied(known) if Arc::ptr_eq(known.get(), changed) => false,
                entry => {
                    entry.insert_entry(Arc::clone(changed));
                    true
                }
            }
        }

        pub(super) fn wake_loaders(&self) -> io::Result<()> {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = Reader::new(&self.descriptor, &mut buffer);
            loop {
                let event = match events.next() {
                    // No event is left.
                    Err(Errno::AGAIN) => return Ok(()),
                    Err(Errno::INTR) => continue,
                    event => event?,
                };
                let mut loaders = self.loaders();
                if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                    // The kernel has dropped events of any directory.
                    loaders.values().for_each(|loader| loader.notify_one());
                } else if event.events().contains(ReadFlags::IGNORED) {
                    // The directory was removed: the kernel has ended the watch.
                    loaders.remove(&event.wd());
                } else if let Some(loader) = loaders.get(&event.wd()) {
                    loader.notify_one();
                }
            }
        }

        /// The number of watched directories.
        #[cfg(test)]
        pub(super) fn watches(&self) -> usize {
            self.loaders().len()
        }

        fn loaders(&self) -> MutexGuard<'_, HashMap<i32, Arc<Notify>>> {
            self.loaders.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    /// Whether a change has woken `loader` since the last call.
    async fn is_woken(loader: &Notify) -> bool {
        tokio::select! {
            biased;
            () = loader.notified() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn change_in_a_directory_wakes_its_loader_alone() {
        let root = tempfile::tempdir().unwrap();
        let disk = DiskWatch::open();
        let [first, second] = [(); 2].map(|()| Arc::new(Notify::new()));
        let [model, other] = ["model", "other"].map(|name| root.path().join(name));
        for (directory, loader) in [(&model, &first), (&other, &second)] {
            fs::create_dir(directory).unwrap();
            assert!(disk.watch(directory, loader));
            assert!(!disk.watch(directory, loader), "known");
        }
        disk.wake_loaders();
        assert!(!is_woken(&first).await, "nothing changed");
        fs::create_dir(model.join("1")).unwrap();
        disk.wake_loaders();
        assert!(is_woken(&first).await);
        assert!(!is_woken(&second).await);
        assert!(disk.watch(&model.join("1"), &first));
        let file = model.join("1/model.onnx");
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(&file, "a").unwrap(),
            &|| fs::write(&file, "b").unwrap(),
            &|| {
                fs::set_permissions(&file, fs::metadata(model.join("1")).unwrap().permissions())
                    .unwrap()
            },
            &|| fs::rename(&file, model.join("1/other")).unwrap(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            change();
            disk.wake_loaders();
            assert!(is_woken(&first).await, "change {number}");
        }
        fs::read(model.join("1/other")).unwrap();
        disk.wake_loaders();
        assert!(!is_woken(&first).await, "a read is no change");
        assert!(!is_woken(&second).await);
    }

    #[tokio::test]
    async fn removed_directory_can_be_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let (disk, loader) = (DiskWatch::open(), Arc::new(Notify::new()));
        let directory = root.path().join("model");
        assert!(!disk.watch(&directory, &loader), "missing");
        for _ in 0..2 {
            fs::create_dir(&directory).unwrap();
            assert!(disk.watch(&directory, &loader), "a new directory");
            disk.wake_loaders();
            assert!(!is_woken(&loader).await);
            fs::write(directory.join("file"), "a").unwrap();
            disk.wake_loaders();
            assert!(is_woken(&loader).await);
            fs::remove_dir_all(&directory).unwrap();
            disk.wake_loaders();
            assert!(is_woken(&loader).await, "the file was removed");
            assert_eq!(disk.inotify.as_ref().unwrap().watches(), 0);
        }
    }
}
