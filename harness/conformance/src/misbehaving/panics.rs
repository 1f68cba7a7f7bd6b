//! Declared and undeclared panics, in the body of a test and outside of it.

use clarity_chaos::{Context, Result, chaos};
use std::panic::catch_unwind;
use std::thread;

/// A thread panics, and the test ignores its result.
#[chaos]
fn in_a_thread() {
    let _ = thread::spawn(|| panic!("in a thread")).join();
}

/// A task panics, and the test ignores its result.
#[chaos]
async fn in_a_task() {
    let _ = tokio::spawn(async { panic!("in a task") }).await;
}

/// Catches a panic that it did not declare.
#[chaos]
fn caught() {
    let _ = catch_unwind(|| panic!("caught"));
}

/// Another thread panics as declared.
#[chaos]
fn expected(cx: Context) {
    cx.expect_panic("as announced");
    let _ = thread::spawn(|| panic!("just as announced")).join();
}

/// The body panics as declared.
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

/// A declared panic happens, and an undeclared one too.
#[chaos]
fn another_than_expected(cx: Context) -> Result {
    cx.expect_panic("as announced");
    for message in ["as announced", "by surprise"] {
        let _ = catch_unwind(|| panic!("{message}"));
    }
    Ok(())
}

/// Catches a declared panic; then another one, which bypasses the hook, ends the body.
#[chaos]
fn resumed_after_an_expected_one(cx: Context) {
    cx.expect_panic("as announced");
    let _ = catch_unwind(|| panic!("as announced"));
    std::panic::resume_unwind(Box::new("the real failure"));
}

/// Replaces the panic hook, so that a panic of another thread goes unseen.
#[chaos]
fn behind_a_replaced_hook() {
    std::panic::set_hook(Box::new(|_| {}));
    let _ = thread::spawn(|| panic!("unseen")).join();
}

/// Replaces the panic hook and puts it back.
#[chaos]
fn with_the_hook_put_back() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(hook);
}
