//! Oracles compile and work in a crate that forbids unsafe code.

#![forbid(unsafe_code)]

use clarity_chaos_oracles::{Oracle, Sink, always, catalogue, listen, reachable, silence};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Sink for Counter {
    fn reached(&self, _: &'static Oracle, _: bool) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn all_macros_work_where_unsafe_code_is_forbidden() {
    let counter = Arc::new(Counter::default());
    listen(counter.clone());
    always!(1 < 2, "one is less");
    clarity_chaos_oracles::sometimes!(1 < 2, "one is less, at least once");
    reachable!("after two oracles");
    silence();
    assert_eq!(counter.0.load(Ordering::Relaxed), 3);
    assert_eq!(catalogue().count(), 3);
}
