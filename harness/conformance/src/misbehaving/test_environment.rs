//! Tests of a test's thread, directories, standard input and random generators.

use clarity_chaos::rand::RngExt as _;
use clarity_chaos::{Context, Result, chaos};
use std::collections::HashSet;
use std::io::Read as _;
use std::{env, io, thread};

/// A test's thread has the test's name. The test's directories and standard input are empty.
#[chaos]
fn belongs_to_the_test(cx: Context) -> Result {
    assert_eq!(
        thread::current().name(),
        Some("test_environment::belongs_to_the_test")
    );
    let worker = cx
        .dir()
        .ancestors()
        .nth(2)
        .ok_or("the directory has no such ancestor")?;
    assert!(
        env::temp_dir().starts_with(worker),
        "{}",
        env::temp_dir().display()
    );
    assert_eq!(io::stdin().read(&mut [0])?, 0);
    assert_eq!(cx.dir().read_dir()?.count(), 0);
    assert_eq!(env::temp_dir().read_dir()?.count(), 0);
    #[cfg(target_os = "linux")]
    {
        let main_thread = std::process::id().to_string();
        let this_thread = std::fs::read_link("/proc/thread-self")?;
        assert!(
            !this_thread.ends_with(main_thread),
            "{}",
            this_thread.display()
        );
    }
    Ok(())
}

/// Two generators draw different numbers, unless both are for the same actor.
#[chaos]
fn has_independent_generators(cx: Context) {
    let draws =
        [cx.rng(), cx.rng(), cx.rng_for("a"), cx.rng_for("b")].map(|mut rng| rng.random::<u64>());
    assert_eq!(HashSet::from(draws).len(), draws.len(), "{draws:?}");
    assert_eq!(cx.rng_for("a").random::<u64>(), draws[2]);
}
