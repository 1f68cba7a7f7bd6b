//! Records, on the timeline, the `tracing` events of the code under test.

use crate::test::timeline::Timeline;
use clarity_chaos_record::EventKind;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::sync::{Once, PoisonError, RwLock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The timeline of the running test. The subscriber does not own the timeline, because one
/// subscriber serves all tests that the process runs in turn.
static TIMELINE: RwLock<Option<Timeline>> = RwLock::new(None);

/// Installs the harness as the global subscriber for the `tracing` events that pass `filter`. An
/// example filter is `info,my_crate=debug`. Does nothing when the process already has a subscriber.
///
/// # Errors
///
/// When the filter is not valid.
pub(crate) fn subscribe(filter: &str) -> io::Result<()> {
    static SUBSCRIBED: Once = Once::new();
    let mut parsed = Ok(());
    SUBSCRIBED.call_once(|| match filter.parse::<Targets>() {
        Ok(filter) => {
            let subscriber = tracing_subscriber::registry().with(TimelineLayer.with_filter(filter));
            let _ = subscriber.try_init();
        }
        Err(error) => {
            parsed = Err(io::Error::other(format!(
                "cannot parse the filter `{filter}` for `tracing` events: {error}"
            )));
        }
    });
    parsed
}

/// Records all later events on `timeline`, or discards them if `timeline` is `None`.
pub(crate) fn send_to(timeline: Option<Timeline>) {
    *TIMELINE.write().unwrap_or_else(PoisonError::into_inner) = timeline;
}

struct TimelineLayer;

impl<S: Subscriber> Layer<S> for TimelineLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // The lock is released before the fields are formatted, because the `Debug` code of a field
        // can itself log.
        let current = TIMELINE.read().unwrap_or_else(PoisonError::into_inner);
        let Some(timeline) = current.clone() else {
            return;
        };
        drop(current);
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        timeline.record(EventKind::Log {
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
