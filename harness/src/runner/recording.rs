//! Portable recordings of runs. `--recording` writes a recording, and `--replay` runs the recorded
//! tests again, also on another machine.
//!
//! A recording is a tar archive without compression:
//!
//! ```text
//! records/1.json    the record of a test
//! kept/1-NAME/      a kept directory of that test, with all that a recording can hold
//! manifest.json     the tests, their seeds, the binary, the machine, and all that is left out
//! sha256            the digest of all bytes before this member
//! ```
//!
//! A reader trusts nothing in the file. It checks the digest, the bounds and each member before it
//! creates the first file.
//
// A test binary is often built without optimisation. There, deflate handles about 3 MB a second. A
// file without compression also cannot expand: its own size bounds its content.

mod archive;
mod binary_id;
mod case_comparison;
mod fingerprint;
mod manifest;
mod member_path;
mod recorded_run;
mod recorded_settings;
mod recording_limits;
mod recording_writer;
mod replay;
#[cfg(test)]
mod tests;
mod trailer;
mod unpacking;

pub(crate) use self::fingerprint::Fingerprint;
pub(crate) use self::recorded_run::RecordedRun;
pub(crate) use self::replay::Replay;
