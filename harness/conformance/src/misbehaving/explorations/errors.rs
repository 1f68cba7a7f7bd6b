//! Tests of the fields of exploration errors.

use super::{NEW, OLD, draft, old_or_new, publish, sync_directory};
use clarity_chaos::explore::{
    BrokenInvariant, CallFailure, Crash, Errno, ExploreError, Explored, ExploredState,
    InjectedFailure, OperationCall, OperationEnd, PowerLoss,
};
use clarity_chaos::{Context, Result, chaos};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

fn broken(explored: Result<Explored, ExploreError>) -> BrokenInvariant {
    match explored {
        Err(ExploreError::Broken(broken)) => *broken,
        other => panic!("the invariant held: {other:?}"),
    }
}

/// Checks the call's name, path and function. Also checks that the call's location is in this
/// source file.
#[track_caller]
fn check(call: &OperationCall, name: &str, path: &str, function: &str) {
    assert_eq!((call.name, call.path.as_path()), (name, Path::new(path)));
    let location = call.location.as_ref().expect("tests have symbols");
    assert!(location.function.contains(function), "{location}");
    assert!(location.file.ends_with("errors.rs"), "{location}");
    assert!(location.line > 1, "{location}");
}

/// Overwrites the old text in place, so a crash before the write leaves an empty file.
fn overwrite(dir: &Path) -> Result {
    fs::write(dir.join("current"), NEW)?;
    Ok(())
}

/// A process dies instead of making a call. The exploration's error names that call.
#[chaos(non_destructive)]
fn of_a_process_death(cx: Context) -> Result {
    fs::write(cx.dir().join("current"), OLD)?;
    let broken = broken(cx.crash_everywhere(overwrite, old_or_new));
    let ExploredState::ProcessDied { call, .. } = &broken.state else {
        panic!("{broken:?}");
    };
    assert_eq!((call.number, call.total), (2, 2));
    check(call, "write", "current", "overwrite");
    assert_eq!(broken.call(), Some(call));
    assert_eq!(broken.message, r#"found """#);
    Ok(())
}

/// An unsynced write is lost in a power loss. The exploration's error names that write.
#[chaos(non_destructive)]
fn of_a_power_loss(cx: Context) -> Result {
    fn save(dir: &Path) -> Result {
        draft(dir)?;
        publish(dir)?;
        sync_directory(dir)
    }
    fs::write(cx.dir().join("current"), OLD)?;
    let explored =
        cx.explore()
            .power_loss(PowerLoss::Posix)
            .crash_everywhere(save, |dir, crash: Crash| {
                // The exploration's error must contain this message, not the message of
                // `old_or_new`.
                old_or_new(dir, crash).map_err(|_| "the text is torn".into())
            });
    let broken = broken(explored);
    let ExploredState::PowerLost { next, lost, .. } = &broken.state else {
        panic!("{broken:?}");
    };
    assert_eq!(broken.call(), next.as_ref());
    assert_eq!(broken.message, "the text is torn");
    let lost: Vec<_> = lost.iter().map(|call| (call.number, call.name)).collect();
    assert_eq!(lost, [(2, "write")]);
    Ok(())
}

/// The operation ignores a failed call. The exploration's error names that call.
#[chaos(non_destructive)]
fn of_a_failed_call(cx: Context) -> Result {
    fn careless(dir: &Path) -> Result {
        let _ = fs::write(dir.join("current"), NEW);
        Ok(())
    }
    let is_saved = |dir: &Path, failure: InjectedFailure| {
        let saved = fs::read_to_string(dir.join("current")).is_ok_and(|text| text == NEW);
        assert!(saved || !failure.acknowledged(), "not saved");
        Ok(())
    };
    let broken = broken(cx.fail_everywhere([Errno::EIO], careless, is_saved));
    let ExploredState::CallFailed {
        call, failure, end, ..
    } = &broken.state
    else {
        panic!("{broken:?}");
    };
    check(call, "openat", "current", "careless");
    assert_eq!(*failure, CallFailure::Error(Errno::EIO));
    assert_eq!(end, &OperationEnd::Succeeded);
    assert_eq!(broken.message, "not saved");
    Ok(())
}

/// The operation makes a call that cannot be explored. The exploration's error names that call.
#[chaos(non_destructive)]
fn of_an_unsupported_call(cx: Context) -> Result {
    let explored = cx.crash_everywhere(
        |dir| {
            File::create(dir.join("file"))?;
            let made = Command::new("mkfifo").arg(dir.join("pipe")).status()?;
            assert!(made.success(), "{made}");
            Ok(())
        },
        |_, _| Ok(()),
    );
    let Err(ExploreError::NotExplorable(unsupported)) = explored else {
        panic!("{explored:?}");
    };
    assert_eq!(unsupported.reason, "a special file");
    let call = unsupported.call.as_ref().expect("it is one call");
    assert_eq!((call.number, call.path.as_path()), (2, Path::new("pipe")));
    Ok(())
}
