//! Thousands of corruptions of published versions, with the real store and the real runtime. Each
//! one must be refused or have no effect.

mod damage;

use clarity::{
    FilePath, Manifest, ModelName, RtenRuntime, RunError, Session, Source, Store, Tensor,
    TensorData, Version, try_version,
};
use clarity_chaos::Result;
use clarity_chaos::rand::{Rng, RngExt as _};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A model to damage.
#[derive(Clone, Debug)]
pub struct Specimen {
    name: &'static str,
    model: Vec<u8>,
    /// The input of every inference.
    input: Tensor,
}

impl Specimen {
    /// A model whose input is one row of numbers.
    ///
    /// # Errors
    ///
    /// Never: the shape of the row is made from its length.
    pub fn new(name: &'static str, model: Vec<u8>, row: Vec<f32>) -> Result<Self> {
        let input = Tensor::new(vec![1, row.len()], TensorData::Fp32(row));
        Ok(Self {
            name,
            model,
            input: input.ok_or("a row has as many places as numbers")?,
        })
    }
}

/// The outcomes of many corruptions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// The number of versions that the store or the runtime refused.
    pub refused: u64,
    /// The number of versions that loaded and answered as before.
    pub harmless: u64,
}

/// Published versions, with their original files and their right answers.
#[derive(Debug)]
pub struct Corruptions {
    store: Store,
    runtime: RtenRuntime,
    versions: Vec<Published>,
}

#[derive(Debug)]
struct Published {
    name: ModelName,
    version: Version,
    input: Tensor,
    answer: Vec<Tensor>,
    files: Vec<Pristine>,
}

#[derive(Debug)]
struct Pristine {
    path: PathBuf,
    bytes: Vec<u8>,
    is_text: bool,
    /// The contents of files with the same name but other bytes in other versions.
    others: Vec<Vec<u8>>,
}

impl Corruptions {
    /// Publishes each specimen twice in a new store at `root`, the second time with an extra file.
    ///
    /// # Errors
    ///
    /// When a specimen cannot be published or loaded.
    pub fn of(specimens: &[Specimen], root: &Path) -> Result<Self> {
        let store = Store::new(root);
        let runtime = RtenRuntime::default();
        let mut versions = Vec::new();
        for specimen in specimens {
            for extra in [false, true] {
                versions.push(publish(&store, &runtime, specimen, extra)?);
            }
        }
        let all: Vec<(PathBuf, Vec<u8>)> = versions
            .iter()
            .flat_map(|published: &Published| &published.files)
            .map(|file| (file.path.clone(), file.bytes.clone()))
            .collect();
        for file in versions.iter_mut().flat_map(|version| &mut version.files) {
            let others = all.iter().filter(|(path, bytes)| {
                path.file_name() == file.path.file_name() && *bytes != file.bytes
            });
            file.others = others.map(|(_, bytes)| bytes.clone()).collect();
        }
        Ok(Self {
            store,
            runtime,
            versions,
        })
    }

    /// Damages one or two random files of a random version, requests the version's answer, and
    /// repairs the files.
    ///
    /// # Errors
    ///
    /// When the answer is wrong. The error names the files and their damage.
    pub fn try_one(&self, rng: &mut impl Rng, tally: &mut Tally) -> Result {
        // Large models are slow, so they are selected less often.
        let weights = self.versions.iter().map(|version| 1.0 / version.cost());
        let version = &self.versions[weighted(weights, rng)];
        let count = if rng.random_ratio(1, 8) { 2 } else { 1 };
        let mut description = format!("{} {}", version.name, version.version);
        for _ in 0..count {
            let file = &version.files[rng.random_range(0..version.files.len())];
            let damaged = damage::draw(&file.bytes, file.is_text, &file.others, rng);
            description.push_str(&format!(", {}: {}", file.path.display(), damaged.how));
            match damaged.bytes {
                Some(bytes) => put(&file.path, &bytes)?,
                None => fs::remove_file(&file.path).or_else(absent)?,
            }
        }
        match self.answer(version) {
            None => tally.refused += 1,
            Some(answer) if answer == version.answer => tally.harmless += 1,
            Some(answer) => {
                return Err(format!("a wrong answer: {description}: {answer:?}").into());
            }
        }
        for file in &version.files {
            put(&file.path, &file.bytes)?;
        }
        Ok(())
    }

    /// Whether all versions answer as they did when they were published.
    #[must_use]
    pub fn are_intact(&self) -> bool {
        let intact = |version| self.answer(version).as_ref() == Some(&version.answer);
        self.versions.iter().all(intact)
    }

    /// The answer of a version; `None` if the store or the runtime refuses the version.
    fn answer(&self, version: &Published) -> Option<Vec<Tensor>> {
        let verified = self.store.open(&version.name, version.version).ok()?;
        let session = try_version(&self.runtime, verified).ok()?;
        ask(&*session, &version.input).ok()
    }
}

impl Published {
    /// The approximate relative time to damage and read the version, which grows with its size.
    fn cost(&self) -> f64 {
        let bytes: usize = self.files.iter().map(|file| file.bytes.len()).sum();
        1.0 + bytes as f64 / 20_000.0
    }
}

fn publish(
    store: &Store,
    runtime: &RtenRuntime,
    specimen: &Specimen,
    extra: bool,
) -> Result<Published> {
    let entry: FilePath = "model.onnx".parse()?;
    let mut files = BTreeMap::from([(entry.clone(), Source::Bytes(specimen.model.clone()))]);
    if extra {
        let notes = b"Trained on nothing in particular.\n".to_vec();
        files.insert("about/notes.txt".parse()?, Source::Bytes(notes));
    }
    let name: ModelName = specimen.name.parse()?;
    let version = store.publish(&name, &entry, &files)?.version();
    let session = try_version(runtime, store.open(&name, version)?)?;
    let directory = store
        .root()
        .join(specimen.name)
        .join(version.get().to_string());
    let paths = files.keys().map(|path| directory.join(path.as_str()));
    let paths = paths.chain([directory.join(Manifest::FILE_NAME)]);
    let pristine = paths.map(|path| {
        Ok(Pristine {
            bytes: fs::read(&path)?,
            is_text: path
                .extension()
                .is_some_and(|extension| extension != "onnx"),
            others: Vec::new(),
            path,
        })
    });
    Ok(Published {
        answer: ask(&*session, &specimen.input)?,
        input: specimen.input.clone(),
        files: pristine.collect::<Result<_>>()?,
        name,
        version,
    })
}

fn ask(session: &dyn Session, input: &Tensor) -> std::result::Result<Vec<Tensor>, RunError> {
    session.run(vec![input.clone()])
}

/// A random index, with a probability in proportion to its weight.
fn weighted(weights: impl Iterator<Item = f64> + Clone, rng: &mut impl Rng) -> usize {
    let mut left = rng.random_range(0.0..weights.clone().sum());
    for (index, weight) in weights.enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    0
}

/// Overwrites a file with `bytes`, or creates it.
// Does not truncate the file first: ext4 flushes a truncated file to disk when it is closed.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}
