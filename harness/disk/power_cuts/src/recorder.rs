//! The disk under a file system, with a log of its requests.

use crate::background::Background;
use crate::image::Image;
use std::sync::{Arc, Mutex, PoisonError};

/// An item of the log, in the order of the disk.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    /// All earlier writes are durable.
    Flush,
    /// The kernel works of its own accord.
    Background(Background),
    /// The program makes its next call.
    Start,
    /// The call has returned.
    Return,
}

/// A disk that the server of requests and the program's thread share.
#[derive(Clone, Debug)]
pub(crate) struct Recorder(Arc<Mutex<Recording>>);

#[derive(Debug)]
struct Recording {
    image: Image,
    log: Option<Vec<Record>>,
}

impl Recorder {
    pub(crate) fn new(image: Image) -> Self {
        Self(Arc::new(Mutex::new(Recording { image, log: None })))
    }

    /// Replaces the content. The file system must not be mounted.
    pub(crate) fn load(&self, image: Image) {
        self.with(|recording| recording.image = image);
    }

    /// Starts a log, and returns the content at its start.
    pub(crate) fn start(&self) -> Image {
        self.with(|recording| {
            recording.log = Some(Vec::new());
            recording.image.clone()
        })
    }

    /// Ends the log, and returns it.
    pub(crate) fn stop(&self) -> Vec<Record> {
        self.with(|recording| recording.log.take().unwrap_or_default())
    }

    /// Adds an item to the log, if there is a log. Writes change the content, too.
    pub(crate) fn add(&self, record: Record) {
        self.with(|recording| {
            if let Record::Write { offset, bytes } = &record {
                recording.image.write_at(*offset, bytes);
            }
            if let Some(log) = &mut recording.log {
                log.push(record);
            }
        });
    }

    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) {
        self.with(|recording| recording.image.read_at(offset, buffer));
    }

    /// Returns the length of the disk in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.with(|recording| recording.image.length)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Recording) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
