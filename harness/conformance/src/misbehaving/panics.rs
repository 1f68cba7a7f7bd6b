//! Panics beside the test's body, declared and not.

use clarity_chaos::{Context, Result, chaos};
use std::panic::catch_unwind;
use std::thread;

/// Another thread panics, and nobody looks at its result.
#[chaos]
fn in_a_thread() {
    let _ = thread::spawn(|| panic!("in a thread")).join();
}

/// A task panics, and nobody looks at its result.
#[chaos]
async fn in_a_task() {
    let _ = tokio::spawn(async { panic!("in a task") }).await;
}

/// A panic is caught, although the test did not say that there would be one.
#[chaos]
fn caught() {
    let _ = catch_unwind(|| panic!("caught"));
}

/// A panic happens that was announced, on another thread.
#[chaos]
fn expected(cx: Context) {
    cx.expect_panic("as announced");
    let _ = thread::spawn(|| panic!("just as announced")).join();
}

/// The body itself panics, as it announced.
#[chaos]
fn expected_of_the_body(cx: Context) {
    cx.expect_panic("as announced");
    panic!("as announced");
}

/// A panic was announced, and does not come.
#[chaos]
fn expected_in_vain(cx: Context) {
    cx.expect_panic("as announced");
}

/// A panic was allowed, and does not come.
#[chaos]
fn allowed_in_vain(cx: Context) {
    cx.allow_panic("perhaps");
}

/// One panic was announced, another one comes as well.
#[chaos]
fn another_than_expected(cx: Context) -> Result {
    cx.expect_panic("as announced");
    for message in ["as announced", "by surprise"] {
        let _ = catch_unwind(|| panic!("{message}"));
    }
    Ok(())
}

/// An announced panic is caught; then another one, which the panic hook never sees, ends the body.
#[chaos]
fn resumed_after_an_expected_one(cx: Context) {
    cx.expect_panic("as announced");
    let _ = catch_unwind(|| panic!("as announced"));
    std::panic::resume_unwind(Box::new("the real failure"));
}

/// The panic hook is replaced, so that a panic of another thread would go unseen.
#[chaos]
fn behind_a_replaced_hook() {
    std::panic::set_hook(Box::new(|_| {}));
    let _ = thread::spawn(|| panic!("unseen")).join();
}

/// The panic hook is replaced and put back: nothing is amiss.
#[chaos]
fn with_the_hook_put_back() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(hook);
}
