//! The `tracing` events of the code under test, on the timeline.

use crate::timeline::{Timeline, What};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is put on the timeline unless `--log` says otherwise.
pub(crate) const DEFAULT_FILTER: &str = "info";

/// The timeline of the test that is running. A process has one subscriber for good, but can have one test after the other.
static TIMELINE: RwLock<Option<Timeline>> = RwLock::new(None);

/// Puts the events that pass `filter` (such as `info,my_crate=debug`) on the timeline from now on.
/// Does nothing when the process has another subscriber already.
pub(crate) fn install(timeline: Timeline, filter: Targets) {
    *TIMELINE.write().unwrap_or_else(PoisonError::into_inner) = Some(timeline);
    let _ = tracing_subscriber::registry()
        .with(ToTimeline.with_filter(filter))
        .try_init();
}

/// Puts no more events on the timeline.
pub(crate) fn uninstall() {
    *TIMELINE.write().unwrap_or_else(PoisonError::into_inner) = None;
}

struct ToTimeline;

impl<S: Subscriber> Layer<S> for ToTimeline {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // A copy: what the fields print may log in its turn.
        let current = TIMELINE.read().unwrap_or_else(PoisonError::into_inner);
        let Some(timeline) = current.clone() else {
            return;
        };
        drop(current);
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        timeline.record(What::Log {
            level: metadata.level().to_string(),
            target: metadata.target().to_owned(),
            message: fields.message,
            fields: fields.others,
        });
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: BTreeMap<String, String>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }
}
