//! The moments at which the power is cut.

use crate::image::Image;
use crate::recorder::Record;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The disk at the moment of a cut.
#[derive(Debug)]
pub(crate) struct Moment {
    /// The content, or `None` if no write came since the last moment without lost writes.
    pub(crate) image: Option<Image>,
    /// The numbers of the calls that had returned, and that the program had made.
    pub(crate) returned: usize,
    pub(crate) started: usize,
    pub(crate) cut: Cut,
}

impl Moment {
    /// The numbers of calls of which the disk can have the effects. A call that has not returned
    /// has had all its effects, or some, or none.
    pub(crate) fn calls(&self) -> RangeInclusive<usize> {
        self.returned..=self.started
    }
}

/// The last request that the disk got.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// The write with this number, and of this number of bytes.
    Write(usize, usize),
    Flush,
    /// A call has returned since the last request.
    Return,
    /// The disk has lost these writes, of which no flush followed.
    Lost(Vec<usize>),
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(number, length) => {
                write!(formatter, "after write {number}, {length} bytes")
            }
            Self::Flush => formatter.write_str("at a flush"),
            Self::Return => formatter.write_str("after the call has returned"),
            Self::Lost(writes) => write!(formatter, "with the unflushed writes {writes:?} lost"),
        }
    }
}

/// Lists the moments of a log: after each write, at each flush, and after each call.
///
/// At a flush and after a call, a disk with a volatile cache may have lost any of the writes since
/// the last flush. `lost` such moments are drawn at each of these places.
pub(crate) fn moments(
    base: &Image,
    log: &[Record],
    lost: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Moment> {
    let mut cutter = Cutter {
        moments: Vec::new(),
        now: base.clone(),
        flushed: base.clone(),
        unflushed: Vec::new(),
        returned: 0,
        started: 0,
    };
    cutter.cut(Cut::Return, None);
    let mut writes = 0;
    for record in log {
        match record {
            Record::Write { offset, bytes } => {
                writes += 1;
                cutter.now.write_at(*offset, bytes);
                cutter.unflushed.push((writes, *offset, Arc::clone(bytes)));
                let image = cutter.now.clone();
                cutter.cut(Cut::Write(writes, bytes.len()), Some(image));
            }
            Record::Flush => {
                cutter.lose(lost, rng);
                cutter.flushed = cutter.now.clone();
                cutter.unflushed.clear();
                cutter.cut(Cut::Flush, None);
            }
            Record::Background(_) => {}
            Record::Start => cutter.started += 1,
            Record::Return => {
                cutter.returned += 1;
                cutter.cut(Cut::Return, None);
                cutter.lose(lost, rng);
            }
        }
    }
    cutter.moments
}

struct Cutter {
    moments: Vec<Moment>,
    now: Image,
    /// The content at the last flush, and the writes since, with their numbers.
    flushed: Image,
    unflushed: Vec<(usize, u64, Arc<[u8]>)>,
    returned: usize,
    started: usize,
}

impl Cutter {
    fn cut(&mut self, cut: Cut, image: Option<Image>) {
        self.moments.push(Moment {
            image,
            returned: self.returned,
            started: self.started,
            cut,
        });
    }

    /// Draws moments at which unflushed writes are lost.
    fn lose(&mut self, count: usize, rng: &mut ChaCha8Rng) {
        for _ in 0..count {
            let mut image = self.flushed.clone();
            let mut lost = Vec::new();
            for (number, offset, bytes) in &self.unflushed {
                if rng.random() {
                    image.write_at(*offset, bytes);
                } else {
                    lost.push(*number);
                }
            }
            // Without a lost write, the disk is as at the moment before.
            if !lost.is_empty() {
                self.cut(Cut::Lost(lost), Some(image));
            }
        }
    }
}
