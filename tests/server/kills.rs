//! `kill -9` at any moment of what changes a store: it always opens, with what was there before or what was asked for, and nothing is left lying about.
//!
//! A few dozen kills in every run; as many as are wanted, and others, with
//!
//! ```sh
//! KILLS=2000 KILLS_SEED=7 cargo test --test server -- kills --nocapture
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use clarity::ModelName;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::support::process::{Serving, clarity};
use crate::support::*;

const MODEL: &str = "cole_kripke";

/// After so many kills the debris of all of them must be gone.
const SWEEP: u64 = 20;

/// More versions than this are removed again.
const MANY: usize = 5;

/// What a store holds: the content of each version by its place among the sources, and the versions that are held back.
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

    /// The version that answers.
    fn serving(&self) -> Option<u64> {
        self.free().last().copied()
    }

    /// Whether this is on the way from one to the other: every version one of theirs, held back only what one of them holds back, and served
    /// what one of them serves.
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

    /// What the store holds when it was made.
    fn made(self, before: &Contents) -> Contents {
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

    /// What kind it is, for its usual duration.
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

struct Trial {
    models: Models,
    sources: Vec<Vec<u8>>,
    paths: Vec<String>,
    rng: ChaCha8Rng,
    /// About how long a command of a kind takes that is left alone.
    usual: BTreeMap<u8, Duration>,
}

impl Trial {
    fn new(seed: u64) -> Self {
        let models = Models::empty();
        let sources = vec![COLE_KRIPKE.to_vec(), other_model()];
        let folder = models.root().join(".sources");
        fs::create_dir(&folder).unwrap();
        let paths = sources.iter().enumerate().map(|(number, bytes)| {
            let path = folder.join(format!("{number}.onnx"));
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        });
        Self {
            paths: paths.collect(),
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
        let mut command = clarity();
        command
            .args(change.arguments(&self.paths))
            .arg("--models")
            .arg(self.models.root())
            .stdout(Stdio::null());
        command
    }

    /// Makes a change undisturbed.
    fn make(&self, change: Change) {
        let status = self.command(change).status().unwrap();
        assert!(status.success(), "{change:?}: {status}");
    }

    /// Begins a change, and kills it at a random moment of the time that such a change takes, or a little later; that time is found out on the way.
    fn cut_short(&mut self, change: Change) {
        let (kind, share) = (
            change.kind(),
            f64::from(self.rng.next_u32()) / f64::from(u32::MAX),
        );
        let usual = self.usual.entry(kind).or_insert(Duration::from_millis(20));
        let moment = usual.mul_f64(1.2 * share);
        let mut process = self.command(change).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(moment);
        let was_too_late = process.try_wait().unwrap().is_some();
        process.kill().unwrap();
        process.wait().unwrap();
        let factor = if was_too_late { 0.9 } else { 1.05 };
        self.usual
            .entry(kind)
            .and_modify(|usual| *usual = usual.mul_f64(factor));
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

    /// What is in the store, of which every byte must be one of the sources'.
    fn contents(&self) -> Contents {
        let (store, model): (_, ModelName) = (&self.models.store, MODEL.parse().unwrap());
        let mut contents = Contents::default();
        let Ok(listing) = store.versions(&model) else {
            return contents; // nothing was ever published
        };
        assert!(listing.ignored.is_empty(), "{:?}", listing.ignored);
        for version in listing.entries {
            let verified = store.open(&model, version);
            let (_, files) = verified.expect("what is listed is whole").into_parts();
            let bytes = &files[&"model.onnx".parse().unwrap()];
            let source = self.sources.iter().position(|source| source == bytes);
            contents
                .versions
                .insert(version.get(), source.expect("published content"));
            if store.quarantined(&model, version).is_some() {
                contents.held.insert(version.get());
            }
        }
        contents
    }

    /// The names in the store that are no model's, version's or marker's.
    fn debris(&self) -> Vec<String> {
        let contents = self.contents();
        let names = |folder| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten();
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

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn a_command_that_is_killed_has_done_all_or_nothing() {
    let (kills, seed) = (number("KILLS", 40), number("KILLS_SEED", 1));
    let mut trial = Trial::new(seed);
    let mut contents = Contents::default();
    let (mut done, mut not_done) = (0, 0);
    for kill in 1..=kills {
        let change = trial.draw(&contents);
        let after = change.made(&contents);
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
            let change = Change::Add {
                source: 0,
                checked: true,
            };
            trial.make(change);
            contents = change.made(&contents);
            assert_eq!(trial.contents(), contents, "seed {seed}, kill {kill}");
            assert_eq!(trial.debris(), [""; 0], "seed {seed}, kill {kill}");
        }
    }
    println!("{kills} kills of seed {seed}: {done} came too late, {not_done} did not");
    assert!(done > 0 && not_done > 0, "all moments were the same");
}

/// The server marks what it finds damaged, and lifts its marks.
#[tokio::test]
async fn a_server_that_is_killed_while_it_reloads_leaves_a_store_that_serves() {
    let (kills, seed) = (number("KILLS", 40) / 4, number("KILLS_SEED", 1));
    let mut trial = Trial::new(seed);
    let whole = Change::Add {
        source: 0,
        checked: false,
    };
    trial.make(whole);
    for kill in 1..=kills {
        let mut server = Serving::start(trial.models.root(), &[]);
        server.until(200).await;
        let before = trial.contents();
        // The next version comes whole or damaged, or a damaged one is repaired; the server is killed while it takes notice.
        let newest = trial.models.publish(MODEL, COLE_KRIPKE).version();
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
        expected.insert(newest.get(), 0);
        assert_eq!(after.versions, expected, "seed {seed}, kill {kill}");

        // What is whole again is served again, and its mark is gone.
        let server = Serving::start(trial.models.root(), &[]);
        let says = format!(r#""model_version":"{newest}""#);
        while !server.until(200).await.contains(&says) {}
        drop(server);
        trial.make(Change::Remove {
            version: newest.get(),
        });
        let left = trial.contents();
        assert_eq!(left, before, "seed {seed}, kill {kill}");
        assert_eq!(trial.debris(), [""; 0], "seed {seed}, kill {kill}");
    }
    println!("{kills} kills of seed {seed}");
}
