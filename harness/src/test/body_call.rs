//! Calls the body of a test, in a runtime if the body is async.

use crate::test::auto_advance::AutoAdvanceMonitor;
use crate::test::blocking_detector::BlockingDetector;
use crate::test::body::Body;
use crate::test::context::Context;
use crate::test::outcome::BodyOutcome;
use crate::test::test_time::TestTime;
use crate::test::timeline::Timeline;
use clarity_chaos_record::ClockKind;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls the body. The runtime of an async body is shut down before this function returns or
/// unwinds. `auto_advance` watches the clock if it is paused.
///
/// # Errors
///
/// When the runtime cannot be started.
pub(crate) fn call(
    body: Body,
    context: Context,
    time: &TestTime,
    timeline: Timeline,
    auto_advance: &AutoAdvanceMonitor,
) -> io::Result<BodyOutcome> {
    match body {
        Body::Sync(function) => Ok(function(context)),
        Body::Async(function) => {
            let runtime = if time.kind() == ClockKind::Paused {
                auto_advance.watch(|configure| time.runtime_with(configure))?
            } else {
                time.runtime()?
            };
            let body = function(context);
            let body = if time.kind().is_virtual() {
                Box::pin(BlockingDetector::new(body, timeline))
            } else {
                // Under a real clock, no detector is needed: other threads run the tasks while the
                // body blocks.
                body
            };
            let returned = catch_unwind(AssertUnwindSafe(|| runtime.block_on(body)));
            runtime.shut_down();
            Ok(returned.unwrap_or_else(|payload| std::panic::resume_unwind(payload)))
        }
    }
}
