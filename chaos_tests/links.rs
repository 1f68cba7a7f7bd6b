//! Symlinks that are swapped while versions are read. No answer may mix two versions.

use clarity::{BlockingPool, Server, Store};
use clarity_chaos::{Context, Result, chaos};
use clarity_testbed::onnx::{DataType, OPEN, TensorProto, model_with_weights, node, value};
use clarity_testbed::{
    Client, KubernetesVolume, MODEL, Payload, Repository, metric, payload_of, seeded_config,
    version,
};
use rten_onnx::onnx::{DataLocation, StringStringEntryProto};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use tokio::task::JoinSet;

/// The number of different contents that take turns in a volume.
const CONTENTS: u8 = 8;

/// The number of weights of each content. Each weight lies in another file.
const WEIGHTS: usize = 3;

/// A model that adds a weight to its input, once for each of three weights. The first weight lies
/// in the model, each other one in a file of its own. All weights are equal to `weight`.
fn model(weight: f32) -> Vec<u8> {
    let tensor = |name: &str| value(name, DataType::FLOAT, &[1, OPEN]);
    let names = |prefix: &str| -> Vec<String> {
        (0..WEIGHTS)
            .map(|number| format!("{prefix}{number}"))
            .collect()
    };
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    let weights = names("weight")
        .into_iter()
        .enumerate()
        .map(|(number, name)| {
            let mut tensor = TensorProto {
                name: Some(name.clone()),
                dims: vec![1],
                data_type: Some(DataType::FLOAT),
                ..TensorProto::default()
            };
            match number {
                0 => tensor.float_data = vec![weight],
                _ => {
                    tensor.data_location = Some(DataLocation::EXTERNAL);
                    tensor.external_data = vec![entry("location", &format!("data/{name}.bin"))];
                }
            }
            tensor
        });
    let (inputs, outputs) = (names("weight"), names("sum"));
    let nodes = inputs.iter().zip(&outputs);
    model_with_weights(
        vec![tensor("activity")],
        nodes
            .map(|(weight, sum)| node("Add", &["activity", weight], sum))
            .collect(),
        outputs.iter().map(|name| tensor(name)).collect(),
        weights.collect(),
    )
}

/// The contents of a volume: version 1 of the same model, each time with other weights.
fn contents(cx: &Context) -> Result<Vec<Payload>> {
    let content = |number: u8| {
        let weight = f32::from(number);
        let staging = Repository::at(cx.dir().join(format!("staging-{number}")));
        let model = model(weight);
        let bytes = weight.to_le_bytes();
        staging.publish_files(
            MODEL,
            &[
                ("model.onnx", &model),
                ("data/weight1.bin", &bytes),
                ("data/weight2.bin", &bytes),
            ],
        )?;
        payload_of(&staging.version(MODEL, 1), "")
    };
    (1..=CONTENTS).map(content).collect()
}

/// A volume whose content is swapped `swaps` times, as often as other threads let it.
struct Swapper {
    ended: Arc<AtomicBool>,
    thread: thread::JoinHandle<Result>,
}

impl Swapper {
    fn start(mut volume: KubernetesVolume, contents: Vec<Payload>, swaps: usize) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut swapped = contents.iter().cycle().skip(1).take(swaps);
            let result = swapped.try_for_each(|content| volume.write(content));
            end.store(true, Ordering::Release);
            result
        });
        Self { ended, thread }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn join(self) -> Result {
        self.thread.join().map_err(|_| "the swapper panicked")?
    }
}

fn mount(cx: &Context, contents: &[Payload]) -> Result<(PathBuf, KubernetesVolume)> {
    let models = cx.dir().join("models");
    let mut volume = KubernetesVolume::mount(models.join(MODEL).join("1"))?;
    volume.write(&contents[0])?;
    Ok((models, volume))
}

/// Checks that all weights of an answer come from the same content, and returns their value.
fn weight_of(answer: &Value) -> Result<u64> {
    let outputs = answer["outputs"].as_array().ok_or("no outputs")?;
    let weights: Vec<f64> = outputs
        .iter()
        .filter_map(|output| output["data"][0].as_f64())
        .collect();
    match &weights[..] {
        [first, second, third] if first == second && second == third => Ok(*first as u64),
        _ => Err(format!("a mixture: {answer}").into()),
    }
}

/// A ConfigMap is swapped a thousand times while clients send requests and the server reloads. Each
/// answer must have all of its weights from the same content. No request may fail, and no swap may
/// count as damage.
#[chaos(links, non_destructive, timeout = "180s")]
async fn a_thousand_swaps_never_mix_two_versions(cx: Context) -> Result {
    const SWAPS: usize = 1_000;
    const CLIENTS: usize = 4;
    let contents = contents(&cx)?;
    let (models, volume) = mount(&cx, &contents)?;
    let mut config = seeded_config(cx.seed());
    config.follow_links_under = vec![models.clone()];
    let builder = Server::builder(&models).config(config);
    let server = builder
        .executor(BlockingPool::new(4 * CLIENTS))
        .bind("127.0.0.1:0".parse()?)
        .await?;
    server.models().settled().await;
    let client = Client::new(server.local_addr());

    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicUsize::new(0));
    let mut clients: JoinSet<Result<BTreeSet<u64>>> = JoinSet::new();
    for _ in 0..CLIENTS {
        let (client, stop, answers) = (client.clone(), Arc::clone(&stop), Arc::clone(&answers));
        clients.spawn(async move {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Acquire) {
                let answer = client.infer(MODEL, &[0.0]).await?;
                if answer.status != 200 {
                    return Err(format!("{}: {}", answer.status, answer.body).into());
                }
                seen.insert(weight_of(&answer.json())?);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            Ok(seen)
        });
    }
    let swapper = Swapper::start(volume, contents.clone(), SWAPS);
    let mut reloads = 0;
    while !swapper.has_ended() {
        server.models().reload(MODEL).await?;
        reloads += 1;
    }
    swapper.join()?;
    let status = server.models().reload(MODEL).await?;
    assert_eq!(status.degraded, None, "{status:?}");
    let last = client.infer(MODEL, &[0.0]).await?;
    let expected = SWAPS as u64 % u64::from(CONTENTS) + 1;
    assert_eq!(weight_of(&last.json())?, expected);

    stop.store(true, Ordering::Release);
    let mut seen = BTreeSet::new();
    while let Some(ended) = clients.join_next().await {
        seen.extend(ended??);
    }
    let answers = answers.load(Ordering::Relaxed);
    cx.measured(format!(
        "{answers} answers, {reloads} reloads, contents {seen:?}"
    ));
    assert!(answers > 0 && reloads > 0 && seen.len() > 1);
    for reason in [
        "model_corrupt",
        "model_missing",
        "link_not_allowed",
        "unverified",
    ] {
        let series = format!(r#"model_load_failures_total{{model="{MODEL}",reason="{reason}"}}"#);
        assert_eq!(metric(&server, &series), 0.0, "{reason}");
    }
    assert!(!models.join(MODEL).join("1.quarantine.json").exists());
    assert!(server.shutdown().await);
    Ok(())
}

/// The volume has no manifest, so no digest protects from a mixture. Each version that is opened
/// during the swaps must have all of its files from the same content.
#[chaos(links, non_destructive, timeout = "120s")]
fn swaps_never_mix_the_files_of_an_unverified_version(cx: Context) -> Result {
    const SWAPS: usize = 1_000;
    let mut contents = contents(&cx)?;
    for content in &mut contents {
        content.remove("manifest.json");
    }
    let (models, volume) = mount(&cx, &contents)?;
    let store = Store::new(&models).follow_links_under(&[models])?;
    let model = MODEL.parse()?;
    let swapper = Swapper::start(volume, contents.clone(), SWAPS);
    let (mut opened, mut seen) = (0, BTreeSet::new());
    while !swapper.has_ended() {
        let Ok(version) = store.open_unverified(&model, version(1)) else {
            // The content changed each time that it was read.
            continue;
        };
        let (_, files) = version.into_parts();
        let found: Payload = files
            .into_iter()
            .map(|(path, bytes)| (path.to_string(), bytes))
            .collect();
        let content = contents.iter().position(|content| *content == found);
        seen.insert(content.ok_or("a mixture of two contents")?);
        opened += 1;
    }
    swapper.join()?;
    cx.measured(format!("{opened} opened, contents {seen:?}"));
    assert!(opened > 0 && seen.len() > 1);
    Ok(())
}

/// A link, and a directory on the way to a file, are swapped with links out of the root while the
/// version is opened. No file outside of the root may be read.
#[chaos(links, non_destructive, timeout = "120s")]
fn swapped_links_never_lead_out_of_their_root(cx: Context) -> Result {
    const SWAPS: usize = 1_000;
    let root = cx.dir().join("models");
    let version_directory = root.join(MODEL).join("1");
    let secret = cx.dir().join("secret");
    for (directory, content) in [(&version_directory, "inside"), (&secret, "secret")] {
        fs::create_dir_all(directory.join("data"))?;
        fs::write(directory.join("data/weights"), content)?;
        fs::write(directory.join("good.onnx"), content)?;
    }
    symlink("good.onnx", version_directory.join("model.onnx"))?;
    let store = Store::new(&root).follow_links_under(std::slice::from_ref(&root))?;
    let ended = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&ended);
    let swap = move || {
        let (data, aside) = (
            version_directory.join("data"),
            version_directory.join("aside"),
        );
        let new = version_directory.join("new");
        for number in 0..SWAPS {
            let target = match number % 2 {
                0 => secret.join("good.onnx"),
                _ => "good.onnx".into(),
            };
            symlink(target, &new)?;
            fs::rename(&new, version_directory.join("model.onnx"))?;
            fs::rename(&data, &aside)?;
            symlink(secret.join("data"), &data)?;
            fs::remove_file(&data)?;
            fs::rename(&aside, &data)?;
        }
        end.store(true, Ordering::Release);
        Ok::<_, std::io::Error>(())
    };
    let swapper = thread::spawn(swap);
    let (model, mut opened, mut refused) = (MODEL.parse()?, 0, 0);
    while !ended.load(Ordering::Acquire) && !swapper.is_finished() {
        match store.open_unverified(&model, version(1)) {
            Err(_) => refused += 1,
            Ok(version) => {
                let files = version.files();
                assert!(files.values().all(|bytes| bytes == b"inside"), "{files:?}");
                opened += 1;
            }
        }
    }
    swapper.join().map_err(|_| "the swapper panicked")??;
    cx.measured(format!("{opened} opened, {refused} refused"));
    assert!(opened + refused > 0);
    Ok(())
}
