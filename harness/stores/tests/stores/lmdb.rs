//! LMDB with and without a writable map.

use crate::verdict::expect_broken;
use clarity_chaos::explore::{Crash, ExploreError, Explored, PowerLoss, acknowledge};
use clarity_chaos::{Context, Result, chaos};
use heed::types::Str;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};
use std::path::Path;

/// The number of keys that each transaction writes.
const KEYS: usize = 20;

/// The number of transactions.
const BATCHES: usize = 2;

/// Opens the database, and calls `work` with it.
fn with_database<T>(
    dir: &Path,
    flags: EnvFlags,
    work: impl FnOnce(&Env<WithoutTls>, Database<'_, Str, Str>) -> Result<T>,
) -> Result<T> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(1 << 20);
    // SAFETY: no other environment of this process has the directory open.
    let env = unsafe { options.flags(flags).open(dir)? };
    let transaction = env.write_txn()?;
    let database = env
        .create_databases_and_commit(
            transaction,
            |creator, transaction| -> Result<_, heed::Error> {
                let database = creator.create_database::<Str, Str>(transaction, None)?;
                Ok(CommitOrAbort::<_, ()>::Commit(database))
            },
        )?
        .unwrap_commit();
    work(&env, database)
}

/// Writes all keys in one transaction.
fn put(env: &Env<WithoutTls>, database: Database<'_, Str, Str>, batch: usize) -> Result {
    let mut transaction = env.write_txn()?;
    for key in 0..KEYS {
        let value = format!("{batch} {}", "x".repeat(300));
        database.put(&mut transaction, &format!("key {key}"), &value)?;
    }
    transaction.commit()?;
    Ok(())
}

fn operate(dir: &Path, flags: EnvFlags) -> Result {
    with_database(dir, flags, |env, database| {
        for batch in 1..=BATCHES {
            put(env, database, batch)?;
            acknowledge();
        }
        Ok(())
    })
}

/// Requires one batch in all keys, at least the last acknowledged one.
fn is_durable(dir: &Path, crash: Crash) -> Result {
    let mut batches = with_database(dir, EnvFlags::empty(), |env, database| {
        let transaction = env.read_txn()?;
        let mut batches = Vec::new();
        for key in 0..KEYS {
            let value = database
                .get(&transaction, &format!("key {key}"))?
                .ok_or("a key is missing")?;
            let (batch, _) = value.split_once(' ').ok_or("a value is damaged")?;
            batches.push(batch.parse::<usize>()?);
        }
        Ok(batches)
    })?;
    batches.dedup();
    match batches[..] {
        [batch] if batch >= crash.acknowledgements() => Ok(()),
        _ => {
            let acknowledged = crash.acknowledgements();
            Err(format!("found the batches {batches:?}, acknowledged {acknowledged}").into())
        }
    }
}

fn explore(cx: &Context, flags: EnvFlags) -> Result<Result<Explored, ExploreError>> {
    with_database(cx.dir(), EnvFlags::empty(), |env, database| {
        put(env, database, 0)
    })?;
    // LMDB clears its table of readers when no process has the environment open.
    let exploration = cx.explore().volatile("lock.mdb").states(300);
    Ok(exploration
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(move |dir| operate(dir, flags), is_durable))
}

/// The pages are written by system calls, and read through a map.
#[chaos(non_destructive, timeout = "120s")]
fn written_pages_are_durable(cx: Context) -> Result {
    println!("{:?}", explore(&cx, EnvFlags::empty())??);
    Ok(())
}

/// The pages are written through a map.
#[chaos(non_destructive, timeout = "120s")]
fn mapped_pages_are_durable(cx: Context) -> Result {
    println!("{:?}", explore(&cx, EnvFlags::WRITE_MAP)??);
    Ok(())
}

/// `MDB_NOSYNC` syncs nothing.
#[chaos(non_destructive, timeout = "120s")]
fn no_sync_is_not_durable(cx: Context) -> Result {
    expect_broken(explore(&cx, EnvFlags::NO_SYNC)?)
}

/// `MDB_NOSYNC` syncs no map either.
#[chaos(non_destructive, timeout = "120s")]
fn mapped_no_sync_is_not_durable(cx: Context) -> Result {
    expect_broken(explore(&cx, EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC)?)
}
