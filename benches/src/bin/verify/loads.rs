//! Measures loading a model with verification, loading it without verification, and hashing alone.

use clarity::{Digest, ModelName, Source, Store, Version};
use clarity_benches::acceptance::{Bound, Line};
use clarity_benches::statistics::Spread;
use clarity_benches::{memory, onnx, processor};
use rten::ModelOptions;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The upper bound of the verification's cost, as a multiple of the cost of hashing in memory.
const OF_HASHING: f64 = 1.1;

/// A store with one published version of one model.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) models: PathBuf,
    pub(crate) store: Store,
    pub(crate) name: ModelName,
}

impl Published {
    pub(crate) fn new(
        directory: &Path,
        files: &BTreeMap<clarity::FilePath, Source>,
    ) -> Result<Self, Box<dyn Error>> {
        let models = directory.join("models");
        let (store, name) = (Store::new(&models), "model".parse()?);
        let entry = "model.onnx".parse()?;
        store.publish(&name, &entry, files)?;
        Ok(Self {
            models,
            store,
            name,
        })
    }

    fn file(&self) -> PathBuf {
        self.models.join("model/1/model.onnx")
    }
}

/// Publishes a model of about `size` bytes in a new store in `directory`.
pub(crate) fn publish(directory: &Path, size: u64) -> Result<Published, Box<dyn Error>> {
    let file = directory.join("model.onnx");
    onnx::write(&file, size)?;
    let files = BTreeMap::from([("model.onnx".parse()?, Source::File(file.clone()))]);
    let published = Published::new(directory, &files)?;
    fs::remove_file(file)?;
    Ok(published)
}

/// Measures a verified load, an unverified load and hashing in each round. The order rotates from
/// round to round.
///
/// An extra round at the start warms up and does not count.
pub(crate) fn measure(
    model: &Published,
    size: u64,
    rounds: u16,
) -> Result<Option<Line>, Box<dyn Error>> {
    let mut measured = [(); 3].map(|()| Vec::new());
    for round in 0..=usize::from(rounds) {
        for turn in 0..3 {
            let which = (round + turn) % 3;
            memory::warm_up(2 * (size << 20));
            let took = [verified_load, plain_load, hash][which](model)?;
            if round > 0 {
                measured[which].push(took);
            }
        }
    }
    let [verified, plain, hashing] = measured;
    println!("\n{size} MiB: milliseconds of processor time, median (min to max)");
    for (what, times) in [
        ("verified load", &verified),
        ("load without verification", &plain),
        ("hashing in memory", &hashing),
    ] {
        if let Some(spread) = Spread::of_seconds(times) {
            println!("  {what:<32} {:.2}", spread.times(1e3));
        }
    }
    let added = verified.iter().zip(&plain).zip(&hashing);
    let ratios = added.map(|((verified, plain), hashing)| {
        (verified.as_secs_f64() - plain.as_secs_f64()) / hashing.as_secs_f64()
    });
    Ok(Spread::of(ratios).map(|found| Line {
        quantity: format!("{size:>4} MiB: cost of verification / hashing in memory"),
        bound: Bound::AtMost(OF_HASHING),
        found,
    }))
}

fn verified_load(model: &Published) -> Result<Duration, Box<dyn Error>> {
    let began = processor::used_here();
    let version = model.store.open(&model.name, Version::FIRST)?;
    let (manifest, mut files) = version.into_parts();
    let bytes = files.remove(manifest.entry()).unwrap_or_default();
    let loaded = ModelOptions::with_all_ops().load(bytes)?;
    let took = processor::used_here() - began;
    drop(black_box(loaded));
    Ok(took)
}

fn plain_load(model: &Published) -> Result<Duration, Box<dyn Error>> {
    let began = processor::used_here();
    let loaded = ModelOptions::with_all_ops().load(fs::read(model.file())?)?;
    let took = processor::used_here() - began;
    drop(black_box(loaded));
    Ok(took)
}

fn hash(model: &Published) -> Result<Duration, Box<dyn Error>> {
    let bytes = fs::read(model.file())?;
    let began = processor::used_here();
    black_box(Digest::of(&bytes));
    Ok(processor::used_here() - began)
}
