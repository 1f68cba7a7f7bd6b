use clarity_chaos::{Context, Result, chaos};

/// A future is never awaited.
#[chaos(clock = "manual")]
async fn forgotten_await(cx: Context) -> Result {
    cx.clock().advance(std::time::Duration::from_secs(61));
    Ok(())
}

/// A result is ignored.
#[chaos]
fn forgotten_question_mark(cx: Context) {
    std::fs::write(cx.dir().join("file"), "text");
}

clarity_chaos::main!();
