//! A volume with the content of a ConfigMap or Secret, as Kubernetes writes and swaps it.

use clarity_chaos::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The files of a volume, by relative path.
pub type Payload = BTreeMap<String, Vec<u8>>;

/// A mounted volume. Follows the order of Kubernetes' [atomic
/// writer](https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go).
///
/// ```text
/// ..2026_01_31_09_30_00.1234567890/model.onnx
/// ..data -> ..2026_01_31_09_30_00.1234567890
/// model.onnx -> ..data/model.onnx
/// ```
#[derive(Debug)]
pub struct KubernetesVolume {
    root: PathBuf,
    writes: u64,
}

impl KubernetesVolume {
    /// An empty volume at `root`, whose directory is created.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created.
    pub fn mount(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        Ok(Self { root, writes: 0 })
    }

    /// Replaces the content in one step, and then removes the old content.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, linked or removed.
    pub fn write(&mut self, payload: &Payload) -> Result {
        let old = match fs::read_link(self.root.join("..data")) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        self.writes += 1;
        let directory = format!("..2026_01_31_09_30_00.{:010}", self.writes);
        for (path, bytes) in payload {
            let path = self.root.join(&directory).join(path);
            fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
            fs::write(path, bytes)?;
        }
        symlink(&directory, self.root.join("..data_tmp"))?;
        fs::rename(self.root.join("..data_tmp"), self.root.join("..data"))?;
        self.link_names(payload)?;
        if let Some(old) = old {
            fs::remove_dir_all(self.root.join(old))?;
        }
        Ok(())
    }

    /// Links the first component of each path, and removes the links of other names.
    fn link_names(&self, payload: &Payload) -> Result {
        let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = payload.keys().map(first).collect();
        for name in &names {
            match symlink(Path::new("..data").join(name), self.root.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with("..") && !names.contains(&name) {
                fs::remove_file(self.root.join(name))?;
            }
        }
        Ok(())
    }
}

/// The files below a directory, under the relative path `prefix`.
///
/// # Errors
///
/// When the directory or a file cannot be read.
pub fn payload_of(directory: &Path, prefix: &str) -> Result<Payload> {
    let mut payload = Payload::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            payload.extend(payload_of(&entry.path(), &format!("{path}/"))?);
        } else {
            payload.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(payload)
}
