use clarity_chaos::{Context, Result, chaos};

/// A server is asked and never answers, since nobody awaits it.
#[chaos(clock = "manual")]
async fn a_forgotten_await(cx: Context) -> Result {
    cx.clock().advance(std::time::Duration::from_secs(61));
    Ok(())
}

/// A file is written, or not.
#[chaos]
fn a_forgotten_question_mark(cx: Context) {
    std::fs::write(cx.dir().join("file"), "text");
}

clarity_chaos::main!();
