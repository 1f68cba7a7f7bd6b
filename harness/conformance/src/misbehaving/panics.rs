//! Declared and undeclared panics, in the body of a test, in threads and in tasks.

use clarity_chaos::{Context, Result, chaos};
use std::panic::catch_unwind;
use std::thread;

/// A thread panics, and the test ignores the thread's result.
#[chaos]
fn in_a_thread() {
    let _ = thread::spawn(|| panic!("in a thread")).join();
}

/// A task panics, and the test ignores the task's result.
#[chaos]
async fn in_a_task() {
    let _ = tokio::spawn(async { panic!("in a task") }).await;
}

/// Catches a panic that the test did not declare.
#[chaos]
fn caught() {
    let _ = catch_unwind(|| panic!("caught"));
}

/// Another thread panics, as the test has declared.
#[chaos]
fn expected(cx: Context) {
    cx.expect_panic("as announced");
    let _ = thread::spawn(|| panic!("just as announced")).join();
}

/// The body panics, as the test has declared.
#[chaos]
fn expected_of_the_body(cx: Context) {
    cx.expect_panic("as announced");
    panic!("as announced");
}

/// A declared panic does not happen.
#[chaos]
fn expected_in_vain(cx: Context) {
    cx.expect_panic("as announced");
}

/// An allowed panic does not happen.
#[chaos]
fn allowed_in_vain(cx: Context) {
    cx.allow_panic("perhaps");
}

/// Both a declared and an undeclared panic happen.
#[chaos]
fn another_than_expected(cx: Context) -> Result {
    cx.expect_panic("as announced");
    for message in ["as announced", "by surprise"] {
        let _ = catch_unwind(|| panic!("{message}"));
    }
    Ok(())
}

/// Catches a declared panic. Then another panic, which bypasses the panic hook, ends the body.
#[chaos]
fn resumed_after_an_expected_one(cx: Context) {
    cx.expect_panic("as announced");
    let _ = catch_unwind(|| panic!("as announced"));
    std::panic::resume_unwind(Box::new("the real failure"));
}

/// Replaces the panic hook, so the harness does not see the panic of another thread.
#[chaos]
fn behind_a_replaced_hook() {
    std::panic::set_hook(Box::new(|_| {}));
    let _ = thread::spawn(|| panic!("unseen")).join();
}

/// Takes the panic hook, and then sets the same hook again.
#[chaos]
fn with_the_hook_put_back() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(hook);
}
