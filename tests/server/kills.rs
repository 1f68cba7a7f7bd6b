//! Kills processes with SIGKILL at random times while they change a store. The store always opens,
//! with the contents from before or after the change. The next command removes all leftover files.
//!
//! By default, a run makes a few dozen kills. Environment variables set the number and the seed:
//!
//! ```sh
//! KILLS=2000 KILLS_SEED=7 cargo test --test server -- kills --nocapture
//! ```

mod usual_duration;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, File};
use std::io;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clarity::ModelName;
use clarity_testbed::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use self::usual_duration::UsualDuration;
use crate::CLARITY;

/// After this number of kills, the next command must remove the leftover files of all kills.
const SWEEP: u64 = 20;

/// A store with this number of versions gets no further version.
const MANY: usize = 5;

/// The contents of a store: the index of each version's source, and the quarantined versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Contents {
    versions: BTreeMap<u64, usize>,
    held: BTreeSet<u64>,
}

impl Contents {
    fn free(&self) -> Vec<u64> {
        let free = self.versions.keys().copied();
        free.filter(|version| !self.held.contains(version))
            .collect()
    }

    /// The version that a server would serve; `None` if all are quarantined.
    fn serving(&self) -> Option<u64> {
        self.free().last().copied()
    }

    /// Whether a killed change from `before` to `after` can leave these contents. The versions must
    /// equal those of `before` or `after`, and so must the served version. A version quarantined in
    /// both must be quarantined here; one quarantined in neither must not.
    fn is_between(&self, before: &Self, after: &Self) -> bool {
        let held = |contents: &Self| -> BTreeSet<u64> {
            let known = contents.held.iter().copied();
            known
                .filter(|version| self.versions.contains_key(version))
                .collect()
        };
        let (first, last) = (held(before), held(after));
        [&before.versions, &after.versions].contains(&&self.versions)
            && self.held.is_superset(&(&first & &last))
            && self.held.is_subset(&(&first | &last))
            && [before.serving(), after.serving()].contains(&self.serving())
    }
}

/// A command that changes the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Add { source: usize, checked: bool },
    Rollback { to: u64 },
    Release { version: u64 },
    Remove { version: u64 },
}

impl Change {
    fn arguments(self, sources: &[String]) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        match self {
            Self::Add { source, checked } => {
                let check = if checked { &[][..] } else { &["--no-check"] };
                words(&[&["add", MODEL, &sources[source]], check].concat())
            }
            Self::Rollback { to } => words(&["rollback", MODEL, "--to", &to.to_string()]),
            Self::Release { version } => {
                words(&["release", MODEL, "--version", &version.to_string()])
            }
            Self::Remove { version } => {
                words(&["remove", MODEL, "--version", &version.to_string()])
            }
        }
    }

    /// The contents of the store after this change.
    fn apply(self, before: &Contents) -> Contents {
        let mut after = before.clone();
        match self {
            Self::Add { source, .. } => {
                let newest = before.versions.last_key_value();
                let next = newest.map_or(1, |(version, _)| version + 1);
                after.versions.insert(next, source);
            }
            Self::Rollback { to } => {
                let newer = before.free().into_iter().filter(|version| *version > to);
                after.held.extend(newer);
            }
            Self::Release { version } => {
                after.held.remove(&version);
            }
            Self::Remove { version } => {
                after.versions.remove(&version);
                after.held.remove(&version);
            }
        }
        after
    }

    /// The key of this kind of change in the map of usual durations.
    fn kind(self) -> u8 {
        match self {
            Self::Add { checked: true, .. } => 0,
            Self::Add { checked: false, .. } => 1,
            Self::Rollback { .. } => 2,
            Self::Release { .. } => 3,
            Self::Remove { .. } => 4,
        }
    }
}

struct KillTrial {
    models: Repository,
    sources: Vec<Vec<u8>>,
    paths: Vec<String>,
    rng: ChaCha8Rng,
    /// The approximate duration of an uninterrupted command, for each kind.
    usual: BTreeMap<u8, UsualDuration>,
    /// The first estimate for every kind: the duration of one command on this machine.
    first: Duration,
}

impl KillTrial {
    fn new(seed: u64) -> Self {
        let models = Repository::temporary();
        let sources = vec![MODEL_BYTES.to_vec(), other_model()];
        let directory = models.root().join(".sources");
        fs::create_dir(&directory).unwrap();
        let paths = sources.iter().enumerate().map(|(number, bytes)| {
            let path = directory.join(format!("{number}.onnx"));
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        });
        let paths = paths.collect();
        let started = Instant::now();
        let mut listing = command(CLARITY);
        listing.args(["list", "--models"]).arg(models.root());
        assert!(listing.output().unwrap().status.success());
        Self {
            first: started.elapsed(),
            paths,
            models,
            sources,
            rng: ChaCha8Rng::seed_from_u64(seed),
            usual: BTreeMap::new(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.rng.next_u64() % limit as u64).unwrap()
    }

    fn command(&self, change: Change) -> Command {
        let mut command = command(CLARITY);
        command
            .args(change.arguments(&self.paths))
            .arg("--models")
            .arg(self.models.root())
            .stdout(Stdio::null());
        command
    }

    /// Runs a change to its end.
    fn make(&self, change: Change) {
        let status = self.command(change).status().unwrap();
        assert!(status.success(), "{change:?}: {status}");
    }

    /// Starts a change, and kills the process at a random time, at most 1.2 usual durations later.
    // Adjusts the usual duration, so about as many kills come too late as in time.
    fn cut_short(&mut self, change: Change) {
        let (kind, share) = (
            change.kind(),
            f64::from(self.rng.next_u32()) / f64::from(u32::MAX),
        );
        let mut usual = *self
            .usual
            .entry(kind)
            .or_insert(UsualDuration::new(self.first));
        let moment = usual.duration.mul_f64(1.2 * share);
        let mut process = self.command(change).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(moment);
        let was_too_late = process.try_wait().unwrap().is_some();
        process.kill().unwrap();
        process.wait().unwrap();
        usual.adjust(was_too_late);
        self.usual.insert(kind, usual);
    }

    fn draw(&mut self, contents: &Contents) -> Change {
        let free = contents.free();
        let versions: Vec<u64> = contents.versions.keys().copied().collect();
        loop {
            let kind = match versions.len() {
                0 => 0,
                MANY.. => 3,
                _ => self.below(4),
            };
            match kind {
                0 => {
                    return Change::Add {
                        source: self.below(self.sources.len()),
                        checked: self.below(2) == 0,
                    };
                }
                1 if free.len() > 1 => {
                    let to = free[self.below(free.len() - 1)];
                    return Change::Rollback { to };
                }
                2 if !contents.held.is_empty() => {
                    let held: Vec<u64> = contents.held.iter().copied().collect();
                    let version = held[self.below(held.len())];
                    return Change::Release { version };
                }
                3 => {
                    let version = versions[self.below(versions.len())];
                    return Change::Remove { version };
                }
                _ => {}
            }
        }
    }

    /// The contents of the store. Asserts that every version has the bytes of a source.
    fn contents(&self) -> Contents {
        let (store, model): (_, ModelName) = (&self.models.store, MODEL.parse().unwrap());
        let mut contents = Contents::default();
        if !self.models.root().join(MODEL).exists() {
            // No version has been published yet.
            return contents;
        }
        let listing = store.versions(&model).expect("the versions can be listed");
        assert!(listing.ignored.is_empty(), "{:?}", listing.ignored);
        for version in listing.entries {
            let verified = store.open(&model, version);
            let (_, files) = verified.expect("a listed version is whole").into_parts();
            let bytes = &files[&"model.onnx".parse().unwrap()];
            let source = self.sources.iter().position(|source| source == bytes);
            contents.versions.insert(
                version.get(),
                source.expect("a version has the bytes of a source"),
            );
            if store.quarantined(&model, version).is_some() {
                contents.held.insert(version.get());
            }
        }
        contents
    }

    /// Waits until no process holds the lock of a staging directory.
    // A killed command can leave a vetting process that has not yet called `exec`. Until then, that
    // process holds the command's lock, and the next command must keep the directory.
    async fn until_abandoned(&self) {
        let in_use = |entry: io::Result<DirEntry>| {
            let entry = entry.unwrap();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            is_hidden && File::open(entry.path()).unwrap().try_lock().is_err()
        };
        until("no process holds a staging directory", || {
            !fs::read_dir(self.models.root()).unwrap().any(in_use)
        })
        .await;
    }

    /// The names in the store that belong to no model, version or quarantine marker.
    fn debris(&self) -> Vec<String> {
        let contents = self.contents();
        let names = |directory| -> Vec<String> {
            let entries = fs::read_dir(directory).into_iter().flatten();
            let names = entries.map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect()
        };
        let of_store = names(self.models.root());
        let of_store = of_store
            .into_iter()
            .filter(|name| name != MODEL && name != ".sources");
        let of_model = names(&self.models.root().join(MODEL));
        let of_model = of_model.into_iter().filter(|name| {
            let version = name.strip_suffix(".quarantine.json").unwrap_or(name);
            let known = version
                .parse()
                .is_ok_and(|version| contents.versions.contains_key(&version));
            !known
        });
        of_store.chain(of_model).collect()
    }
}

/// A whole number from an environment variable, or `default` if the variable is not set.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[tokio::test]
async fn killed_command_has_done_all_or_nothing() {
    let (kills, seed) = (number("KILLS", 40), number("KILLS_SEED", 1));
    let mut trial = KillTrial::new(seed);
    let mut contents = Contents::default();
    let (mut done, mut not_done) = (0, 0);
    for kill in 1..=kills {
        let change = trial.draw(&contents);
        let after = change.apply(&contents);
        trial.cut_short(change);
        let found = trial.contents();
        assert!(
            found.is_between(&contents, &after),
            "seed {seed}, kill {kill}, {change:?}: from {contents:?} to {after:?}, found {found:?}"
        );
        if found == after {
            done += 1;
        } else {
            not_done += 1;
        }
        contents = found;
        if kill % SWEEP == 0 || kill == kills {
            trial.until_abandoned().await;
            let change = Change::Add {
                source: 0,
                checked: true,
            };
            trial.make(change);
            contents = change.apply(&contents);
            assert_eq!(trial.contents(), contents, "seed {seed}, kill {kill}");
            assert_eq!(trial.debris(), [""; 0], "seed {seed}, kill {kill}");
        }
    }
    println!("{kills} kills of seed {seed}: {done} came too late, {not_done} did not");
    assert!(
        done > 0 && not_done > 0,
        "the kills came all too late or all too early"
    );
}

/// The server is sometimes killed just before it quarantines a damaged version or releases a
/// repaired one.
#[tokio::test]
async fn killed_server_leaves_a_store_that_serves() {
    let (kills, seed) = (number("KILLS", 40) / 4, number("KILLS_SEED", 1));
    let mut trial = KillTrial::new(seed);
    let whole = Change::Add {
        source: 0,
        checked: false,
    };
    trial.make(whole);
    for kill in 1..=kills {
        let mut server = ServerProcess::start(CLARITY, trial.models.root(), &[]);
        server.until_status(200).await;
        let before = trial.contents();
        // The next version is either whole or damaged. The server is killed around its reload.
        let newest = trial.models.publish(MODEL, MODEL_BYTES);
        let damaged = trial.below(2) == 0;
        if damaged {
            trial.models.flip_bit(&format!("{newest}/model.onnx"), 99);
        }
        thread::sleep(Duration::from_micros(trial.rng.next_u64() % 60_000));
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        if damaged {
            trial.models.flip_bit(&format!("{newest}/model.onnx"), 99);
        }
        let after = trial.contents();
        let mut expected = before.versions.clone();
        expected.insert(newest, 0);
        assert_eq!(after.versions, expected, "seed {seed}, kill {kill}");

        // Another server serves the repaired version, and releases its quarantine.
        let server = ServerProcess::start(CLARITY, trial.models.root(), &[]);
        let says = format!(r#""model_version":"{newest}""#);
        server
            .until(&says, |response| response.body.contains(&says))
            .await;
        drop(server);
        trial.make(Change::Remove { version: newest });
        let left = trial.contents();
        assert_eq!(left, before, "seed {seed}, kill {kill}");
        assert_eq!(trial.debris(), [""; 0], "seed {seed}, kill {kill}");
    }
    println!("{kills} kills of seed {seed}");
}
