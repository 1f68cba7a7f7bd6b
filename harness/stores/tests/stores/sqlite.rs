//! SQLite with a rollback journal, and with a write-ahead log.

use crate::verdict::expect_broken;
use clarity_chaos::explore::{
    Crash, Errno, ExploreError, Explored, InjectedFailure, PowerLoss, acknowledge,
};
use clarity_chaos::{Context, Result, chaos};
use rusqlite::Connection;
use std::path::Path;

/// The number of rows that one transaction writes.
const BATCH: i64 = 20;

/// The number of transactions.
const BATCHES: i64 = 3;

/// The settings of a database.
#[derive(Clone, Copy, Debug)]
struct Settings {
    journal: &'static str,
    synchronous: &'static str,
    /// With `exclusive`, a write-ahead log needs no shared memory.
    locking: &'static str,
}

impl Settings {
    const fn rollback(synchronous: &'static str) -> Self {
        Self {
            journal: "delete",
            synchronous,
            locking: "normal",
        }
    }

    const fn exclusive_log(synchronous: &'static str) -> Self {
        Self {
            journal: "wal",
            synchronous,
            locking: "exclusive",
        }
    }
}

fn open(dir: &Path, settings: Settings) -> Result<Connection> {
    let connection = Connection::open(dir.join("db"))?;
    connection.pragma_update(None, "locking_mode", settings.locking)?;
    connection.pragma_update(None, "journal_mode", settings.journal)?;
    connection.pragma_update(None, "synchronous", settings.synchronous)?;
    Ok(connection)
}

fn prepare(dir: &Path, settings: Settings) -> Result {
    let connection = open(dir, settings)?;
    connection.execute_batch("create table rows (id integer primary key, text text not null)")?;
    insert(&connection, 0)
}

/// Inserts one batch of rows in one transaction. Also changes all older rows.
fn insert(connection: &Connection, batch: i64) -> Result {
    connection.execute_batch("begin immediate")?;
    for row in 0..BATCH {
        let text = format!("row {row} {}", "x".repeat(300));
        connection.execute(
            "insert into rows values (?1, ?2)",
            (batch * BATCH + row, text),
        )?;
    }
    connection.execute(
        "update rows set text = text || ?1",
        [format!(" and {batch}")],
    )?;
    connection.execute_batch("commit")?;
    Ok(())
}

fn operate(dir: &Path, settings: Settings) -> Result {
    let connection = open(dir, settings)?;
    // Checkpoints come often, so that the exploration sees several.
    connection.pragma_update(None, "wal_autocheckpoint", 12)?;
    for batch in 1..=BATCHES {
        insert(&connection, batch)?;
        acknowledge();
    }
    Ok(())
}

/// Requires an undamaged database with whole transactions. Returns the number of batches.
fn batches(dir: &Path) -> Result<i64> {
    let connection = Connection::open(dir.join("db"))?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    let check: String = connection.query_row("pragma integrity_check", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(check.into());
    }
    let query = "select count(*), count(distinct length(text)) from rows";
    let (rows, _): (i64, i64) =
        connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if rows % BATCH != 0 {
        return Err(format!("found {rows} rows, which are not whole transactions").into());
    }
    let last = rows / BATCH - 1;
    let query = "select count(*) from rows where text not like ?1";
    let pattern = format!("% and {last}");
    let other: i64 = connection.query_row(query, [pattern], |row| row.get(0))?;
    match other {
        0 => Ok(rows / BATCH),
        _ => Err(format!("{other} rows lack the change of transaction {last}").into()),
    }
}

/// Requires an undamaged database with whole transactions.
fn is_atomic(dir: &Path, _: Crash) -> Result {
    batches(dir).map(drop)
}

/// Also requires all acknowledged transactions.
fn is_durable(dir: &Path, crash: Crash) -> Result {
    has_batches(dir, crash.acknowledgements())
}

/// Requires the transaction of the preparation, and `acknowledgements` later ones.
fn has_batches(dir: &Path, acknowledgements: usize) -> Result {
    let found = batches(dir)?;
    let acknowledged = 1 + i64::try_from(acknowledgements)?;
    match found < acknowledged {
        true => Err(format!("found {found} of {acknowledged} transactions").into()),
        false => Ok(()),
    }
}

fn explore(
    cx: &Context,
    settings: Settings,
    invariant: fn(&Path, Crash) -> Result,
) -> Result<Explored, ExploreError> {
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .crash_everywhere(move |dir| operate(dir, settings), invariant)
}

/// Requires that the settings keep the invariant.
fn expect_safe(cx: &Context, settings: Settings, invariant: fn(&Path, Crash) -> Result) -> Result {
    prepare(cx.dir(), settings)?;
    let explored = explore(cx, settings, invariant)?;
    println!("{settings:?}: {explored:?}");
    Ok(())
}

/// Requires that a crash breaks the invariant.
fn expect_unsafe(
    cx: &Context,
    settings: Settings,
    invariant: fn(&Path, Crash) -> Result,
) -> Result {
    prepare(cx.dir(), settings)?;
    expect_broken(explore(cx, settings, invariant))
}

/// `synchronous=EXTRA` keeps each acknowledged transaction.
#[chaos(non_destructive)]
fn extra_is_durable(cx: Context) -> Result {
    expect_safe(&cx, Settings::rollback("extra"), is_durable)
}

/// `synchronous=FULL` keeps transactions whole.
#[chaos(non_destructive)]
fn full_is_atomic(cx: Context) -> Result {
    expect_safe(&cx, Settings::rollback("full"), is_atomic)
}

/// `synchronous=FULL` does not sync the directory after it has removed the journal. As SQLite
/// documents, a loss of power can therefore roll an acknowledged transaction back.
#[chaos(non_destructive)]
fn full_is_not_durable(cx: Context) -> Result {
    expect_unsafe(&cx, Settings::rollback("full"), is_durable)
}

/// `synchronous=OFF` syncs nothing.
#[chaos(non_destructive)]
fn off_is_not_atomic(cx: Context) -> Result {
    expect_unsafe(&cx, Settings::rollback("off"), is_atomic)
}

/// A log that is synced at each commit keeps each acknowledged transaction.
#[chaos(non_destructive)]
fn full_log_is_durable(cx: Context) -> Result {
    expect_safe(&cx, Settings::exclusive_log("full"), is_durable)
}

/// A log that is synced at checkpoints only keeps transactions whole.
#[chaos(non_destructive)]
fn normal_log_is_atomic(cx: Context) -> Result {
    expect_safe(&cx, Settings::exclusive_log("normal"), is_atomic)
}

/// A log that is synced at checkpoints only can lose acknowledged transactions.
#[chaos(non_destructive)]
fn normal_log_is_not_durable(cx: Context) -> Result {
    expect_unsafe(&cx, Settings::exclusive_log("normal"), is_durable)
}

/// A checkpoint without syncs can leave a database with a part of a transaction.
#[chaos(non_destructive)]
fn off_log_is_not_atomic(cx: Context) -> Result {
    expect_unsafe(&cx, Settings::exclusive_log("off"), is_atomic)
}

/// SQLite ignores a failure to open the directory that it would sync. So it acknowledges a
/// transaction that a loss of power can roll back.
#[chaos(non_destructive)]
fn extra_overlooks_a_directory_that_cannot_be_opened(cx: Context) -> Result {
    let settings = Settings::rollback("extra");
    prepare(cx.dir(), settings)?;
    expect_broken(explore_failures(&cx, settings))
}

/// A failed call never costs an acknowledged transaction, even if the power fails later.
#[chaos(non_destructive, timeout = "120s")]
fn full_log_survives_failed_calls(cx: Context) -> Result {
    let settings = Settings::exclusive_log("full");
    prepare(cx.dir(), settings)?;
    let explored = explore_failures(&cx, settings)?;
    println!("{settings:?}: {explored:?}");
    Ok(())
}

fn explore_failures(cx: &Context, settings: Settings) -> Result<Explored, ExploreError> {
    cx.explore()
        .power_loss(PowerLoss::Journaled)
        .fail_everywhere(
            [Errno::EIO, Errno::ENOSPC],
            move |dir| operate(dir, settings),
            |dir: &Path, failure: InjectedFailure| has_batches(dir, failure.acknowledgements()),
        )
}
