//! Tests with workflow commands of GitHub's runner in each text that a report can show.

use clarity_chaos::{Context, Result, chaos, sometimes};
use std::fs::{self, File};
use std::io::Write as _;
use std::thread;

/// Commands in each form that the runner reads.
const COMMANDS: [&str; 10] = [
    "::stop-commands::x",
    "  \t::add-mask::e",
    "before ##[error]after",
    "\u{a0}\u{200b}::warning::x",
    "overwritten\r::error::x",
    "\u{1b}[31m::error::red\u{1b}[0m",
    "##\u{1b}[0m[error]x ###[group]",
    "#\u{200b}#[debug]x",
    ":\u{200b}:error::x",
    "::group::x",
];

/// Returns a text with each command at the start of a line.
fn hostile() -> String {
    format!("text\n{}\n", COMMANDS.join("\n"))
}

/// Fails with commands in the error, and in all other texts.
///
/// ::error::in the description
/// ##[error]in the description
#[expect(
    rustdoc::broken_intra_doc_links,
    reason = "the brackets are a command, and no link"
)]
#[chaos(non_destructive)]
fn fails(cx: Context) -> Result {
    println!("{}", hostile());
    eprint!("a line without an end");
    cx.note(hostile());
    cx.mark("\n::error::lane", hostile());
    tracing::warn!(field = hostile(), "{}", hostile());
    sometimes!(false, "\n::error::an oracle");
    Err(hostile().into())
}

/// Panics with commands in the message, and in the message of a thread.
#[chaos]
fn panics() {
    let thread = thread::Builder::new().name("\n::error::x".to_owned());
    let panicking = thread.spawn(|| panic!("{}", hostile()));
    let _ = panicking.map(thread::JoinHandle::join);
    panic!("{}", hostile());
}

/// Leaves files and a thread with commands in their names.
#[chaos(non_destructive)]
fn leaks() -> Result {
    for name in ["a\n::error::x", "b\r::add-mask::e", "c ##[error]x"] {
        File::create(std::env::temp_dir().join(name))?;
    }
    thread::Builder::new()
        .name("\n##[error]".to_owned())
        .spawn(thread::park)?;
    Ok(())
}

/// Skips itself with commands in the reason.
#[chaos]
fn skips(cx: Context) -> Result {
    cx.skip(hostile())?;
    Ok(())
}

/// Passes, and prints commands in pieces.
#[chaos]
fn passes() -> Result {
    let mut stdout = std::io::stdout();
    for text in [hostile(), "::error::an incomplete line ##".to_owned()] {
        for piece in text.as_bytes().chunks(3) {
            stdout.write_all(piece)?;
            stdout.flush()?;
        }
    }
    stdout.write_all(b"\xff\n\xfe::error::x\n")?;
    Ok(())
}

/// Fails at first, with commands in the error. Then passes.
#[chaos]
fn is_flaky() -> Result {
    let path = std::env::var_os("MISBEHAVING_FILE").ok_or("MISBEHAVING_FILE names a file")?;
    let is_first = fs::read_to_string(&path)?.is_empty();
    fs::write(&path, "x")?;
    if is_first {
        return Err(hostile().into());
    }
    Ok(())
}
