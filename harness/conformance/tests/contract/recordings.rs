//! `--recording` writes a run to one file, and `--replay` runs it again elsewhere.

use super::{mount_namespace, until};
use crate::suite;
use clarity_chaos::{Record, Verdict};
use clarity_chaos_conformance::limits::wait_with_output;
use clarity_chaos_conformance::{RunOutput, Suite};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PASSES: &str = "endings::passes";
const TELLS: &str = "endings::passes_and_tells";
const FILES: &str = "recordings::leaves_all_kinds_of_files";
const PLAN: &str = "plans::two_together";
const NEEDS: &str = "recordings::needs_a_file";

/// Records a run of `tests` in a file of the suite.
#[track_caller]
fn record(suite: &Suite, tests: &[&str]) -> (PathBuf, RunOutput) {
    let file = suite.tmp().with_file_name("recording.tar");
    let arguments = ["--exact", "--recording", file.to_str().unwrap()];
    let ran = suite.run(arguments.iter().chain(tests));
    assert!(!ran.stderr.contains("error: "), "{}", ran.stderr);
    assert!(file.exists(), "{}{}", ran.stdout, ran.stderr);
    (file, ran)
}

#[track_caller]
fn replay(suite: &Suite, file: &Path) -> RunOutput {
    suite.run(["--replay".as_ref(), file.as_os_str()])
}

#[track_caller]
fn assert_has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
}

#[test]
fn replay_elsewhere_repeats_seeds_plans_and_ends() {
    let (here, elsewhere) = (suite(), suite());
    let (file, ran) = record(&here, &[PASSES, FILES, PLAN]);
    assert_eq!(ran.code, Some(101), "{}", ran.stderr);
    assert_has(&ran.stdout, &[file.to_str().unwrap()]);

    let replayed = replay(&elsewhere, &file);
    assert_eq!(replayed.code, Some(101), "{}", replayed.stderr);
    assert_has(
        &replayed.stdout,
        &[
            "same binary, machine, environment and settings",
            "    same       endings::passes: passed\n",
            "    same       plans::two_together: failed\n",
            "3 of 3 recorded tests ended as recorded\n",
        ],
    );
    assert!(
        !replayed.stderr.contains("warning: "),
        "{}",
        replayed.stderr
    );
    assert_eq!(replayed.records.len(), 3);
    for (name, record) in &replayed.records {
        let recorded = &ran.records[name];
        assert_eq!(record.root_seed, recorded.root_seed, "{name}");
        assert_eq!(record.faults, recorded.faults, "{name}");
    }
    // Filters select among the recorded tests.
    let one = elsewhere.run(["--replay", file.to_str().unwrap(), "--exact", PASSES]);
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    assert_has(&one.stdout, &["1 of 1 recorded tests ended as recorded"]);
}

#[test]
fn kept_directories_are_unpacked_into_one_directory() {
    let (here, elsewhere) = (suite(), suite());
    let (file, ran) = record(&here, &[FILES]);
    let kept = ran.records[FILES].kept_dir.clone().unwrap();
    for (name, reason) in [
        ("outside", "it is a symlink to /etc/passwd"),
        ("fifo", "it is a FIFO"),
        ("socket", "it is a socket"),
    ] {
        let line = format!("{}: {reason}", kept.join("dir").join(name).display());
        assert_has(&ran.stderr, &[&line]);
    }
    let size = fs::metadata(&file).unwrap().len();
    assert!(size < 1 << 20, "the file has {size} bytes");

    let replayed = replay(&elsewhere, &file);
    let recordings = elsewhere.history().join("recordings");
    let mut entries = fs::read_dir(&recordings).unwrap();
    let unpacked = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    let copy = unpacked.join("kept/1-recordings.leaves_all_kinds_of_files");
    assert_has(
        &replayed.stdout,
        &[copy.to_str().unwrap(), kept.to_str().unwrap()],
    );
    assert_has(&replayed.stdout, &["not recorded: ", "it is a FIFO"]);
    let path = |name: &str| copy.join("dir").join(name);
    assert_eq!(fs::read_to_string(path("sub/inside")).unwrap(), "content");
    let mode = fs::metadata(path("plain")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    let sparse = fs::metadata(path("sparse")).unwrap();
    assert_eq!(sparse.len(), 1 << 30);
    let original = fs::metadata(kept.join("dir/sparse")).unwrap();
    assert!(sparse.blocks() <= original.blocks().max(1 << 11));
    for name in ["outside", "fifo", "socket"] {
        assert!(fs::symlink_metadata(path(name)).is_err(), "{name}");
    }
    let record = fs::read(unpacked.join("records/1.json")).unwrap();
    assert_eq!(Record::from_json(&record).unwrap(), ran.records[FILES]);
    assert!(copy.join("output").exists() && copy.join("timeline.jsonl").exists());
}

#[test]
fn directory_that_is_too_large_is_left_out_by_name() {
    let suite = suite();
    let (file, ran) = record(&suite, &["recordings::leaves_too_much", FILES]);
    assert!(fs::metadata(&file).unwrap().len() < 128 << 20);
    let large = &ran.records["recordings::leaves_too_much"];
    let large = large.kept_dir.as_ref().unwrap().display().to_string();
    let line = format!("warning: not in {}: {large}: ", file.display());
    assert_has(&ran.stderr, &[&line, "the recording would be larger than"]);
    let replayed = suite.run(["--list", "--replay", file.to_str().unwrap()]);
    assert_has(&replayed.stdout, &["recordings::leaves_too_much", FILES]);
    assert!(!replayed.stdout.contains(PASSES), "{}", replayed.stdout);
}

#[test]
fn other_end_is_named_and_settings_are_those_of_the_recording() {
    let suite = suite();
    let present = suite.tmp().join("present");
    fs::write(&present, "").unwrap();
    let file = suite.tmp().with_file_name("recording.tar");
    let mut command = suite.command();
    command
        .args([
            "--exact",
            NEEDS,
            PLAN,
            "--sandbox",
            "none",
            "--log",
            "debug",
            "--timeout",
            "61s",
        ])
        .args(["--recording".as_ref(), file.as_os_str()])
        .env("MISBEHAVING_FILE", &present)
        .env("TZ", "UTC");
    let ran = suite.run_command(&mut command);
    assert_eq!(ran.records[NEEDS].verdict, Verdict::Passed);

    let mut command = suite.command();
    command
        .args(["--replay".as_ref(), file.as_os_str()])
        .args(["--timeout", "62s"])
        .env_remove("MISBEHAVING_FILE")
        .env_remove("TZ");
    let replayed = suite.run_command(&mut command);
    assert_eq!(replayed.code, Some(101), "{}", replayed.stderr);
    assert_has(
        &replayed.stdout,
        &[
            "differs: variable TZ: recorded `UTC`, here not set",
            "differs: --timeout: recorded 61000 ms, here 62000 ms",
            "differs: --sandbox: recorded none, here marked",
            "DIFFERENT  recordings::needs_a_file: recorded `passed`, now `panicked at ",
            "1 of 2 recorded tests ended as recorded",
        ],
    );
    assert!(!replayed.stdout.contains("--log"), "{}", replayed.stdout);
    assert_eq!(replayed.records[PLAN].timeout_ms, 62_000);
}

/// Writes a copy of the suite's binary, in which the test `TELLS` has another name.
fn renamed_binary(suite: &Suite, to: &Path) {
    // This process must not write the copy itself: a child of another thread could inherit the
    // descriptor, and executing the copy would fail with ETXTBSY.
    let script = r#"
        sed 's/endings::passes_and_tells/endings::passes_and_kells/g' "$1" >"$2"
        chmod 755 "$2""#;
    let mut shell = Command::new("sh");
    shell.args(["-euc", script, "sh"]);
    let program = suite.command().get_program().to_owned();
    let status = shell.arg(program).arg(to).env("LC_ALL", "C").status();
    assert!(status.unwrap().success());
}

#[test]
fn other_binary_runs_by_name_and_missing_tests_are_named() {
    let here = suite();
    let (file, ran) = record(&here, &[PASSES, TELLS]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let binary = here.tmp().with_file_name("other");
    renamed_binary(&here, &binary);
    let elsewhere = Suite::new(&binary, here.isolation());
    let replayed = replay(&elsewhere, &file);
    assert_eq!(replayed.code, Some(4), "{}", replayed.stderr);
    assert_has(
        &replayed.stderr,
        &[
            "warning: THIS IS NOT THE RECORDED BINARY",
            "error: --replay: no test is called `endings::passes_and_tells` here",
        ],
    );
    assert_has(
        &replayed.stdout,
        &[
            "    same       endings::passes: passed\n",
            "    not run    endings::passes_and_tells: no test has this name\n",
            "1 of 2 recorded tests ended as recorded",
        ],
    );
    let file = file.to_str().unwrap();
    let selected = elsewhere.run(["--replay", file, "--exact", PASSES]);
    assert_eq!(selected.code, Some(0), "{}", selected.stderr);
    let none = elsewhere.run(["--replay", file, "--exact", TELLS]);
    assert_eq!(none.code, Some(4), "{}", none.stderr);
}

#[test]
fn interrupted_run_is_recorded() {
    let suite = suite();
    let file = suite.tmp().with_file_name("recording.tar");
    let outside = suite.tmp().join("outside");
    fs::write(&outside, "content").unwrap();
    let runner = suite
        .command()
        .args(["--exact", PASSES, "faults::hangs_with_damage"])
        .args(["tags::model", "--test-threads", "1", "--recording"])
        .arg(&file)
        .env("MISBEHAVING_FILE", &outside)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until(|| suite.timeline_contains("hanging with damage"));
    let pid = i32::try_from(runner.id()).unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    let output = wait_with_output(runner);
    assert_eq!(output.status.code(), Some(130));
    let replayed = suite.run(["--replay", file.to_str().unwrap(), PASSES]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    assert_has(
        &replayed.stdout,
        &["2 tests, recorded at", "the recorded run was interrupted"],
    );
}

#[test]
fn failing_seed_of_a_sweep_is_replayed() {
    let (here, elsewhere) = (suite(), suite());
    let file = here.tmp().with_file_name("recording.tar");
    let test = "plans::one_of_fourteen";
    let sweep = ["--exact", test, "--seeds", "0..20", "--recording"];
    let ran = here.run(sweep.iter().copied().chain(file.to_str()));
    let recorded = &ran.records[test];
    assert!(recorded.verdict.is_failure());
    let replayed = replay(&elsewhere, &file);
    assert_eq!(replayed.code, Some(101), "{}", replayed.stderr);
    let again = &replayed.records[test];
    assert_eq!(again.root_seed, recorded.root_seed);
    assert_eq!(again.faults, recorded.faults);
    assert_has(
        &replayed.stdout,
        &["1 of 1 recorded tests ended as recorded"],
    );
}

#[test]
fn damaged_recording_runs_nothing_and_unpacks_nothing() {
    let (here, elsewhere) = (suite(), suite());
    let (file, _) = record(&here, &[FILES]);
    let bytes = fs::read(&file).unwrap();
    let damaged = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let replayed = replay(&elsewhere, &file);
        assert_eq!(replayed.code, Some(2), "{}", replayed.stdout);
        let error = format!("error: --replay {}: ", file.display());
        assert_has(&replayed.stderr, &[&error]);
        assert_eq!(replayed.stdout, "");
        assert!(!elsewhere.history().exists());
    };
    damaged(&bytes[..bytes.len() / 2]);
    damaged(&bytes[..bytes.len() - 1]);
    damaged(b"");
    damaged(&vec![0; 1 << 16]);
    let mut flipped = bytes;
    flipped[3] ^= 1;
    damaged(&flipped);
    fs::remove_file(&file).unwrap();
    let replayed = replay(&elsewhere, &file);
    assert_eq!(replayed.code, Some(2), "{}", replayed.stdout);
    assert_has(&replayed.stderr, &["No such file or directory"]);
}

#[test]
fn full_disk_leaves_the_old_recording() {
    let script = r#"
        small=$TMPDIR/../small kept=$TMPDIR/../kept
        mkdir -p "$small" "$kept"
        mount -t tmpfs -o size=256k none "$small"
        "$@" --seed 1
        cp "$small/recording" "$kept/first"
        dd if=/dev/zero of="$small/filler" bs=4k 2>/dev/null || true
        code=0; "$@" --seed 2 || code=$?
        cp "$small/recording" "$kept/second"
        rm "$small/filler"
        ls -A "$small" >"$kept/names"
        exit "$code""#;
    let suite = suite();
    let kept = suite.tmp().with_file_name("kept");
    let file = suite.tmp().with_file_name("small").join("recording");
    let Some(suite) = mount_namespace::within(suite, script) else {
        return;
    };
    let ran = suite.run(["--exact", PASSES, "--recording", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let error = format!("failed to write the recording {}", file.display());
    assert_has(&ran.stderr, &[&error, "No space left"]);
    let read = |name: &str| fs::read(kept.join(name)).unwrap();
    assert_eq!(read("first"), read("second"));
    assert_eq!(read("names"), b"recording\n");
}

#[test]
fn nextest_would_replace_the_recording_and_is_refused() {
    let suite = suite();
    let file = suite.tmp().with_file_name("recording.tar");
    let mut command = suite.command();
    command
        .args(["--exact", PASSES])
        .env("NEXTEST_RUN_ID", "f00")
        .env("CHAOS_RECORDING", &file);
    let ran = suite.run_command(&mut command);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert_has(
        &ran.stderr,
        &["--recording: expected a run without nextest"],
    );
    assert!(!file.exists());
}
