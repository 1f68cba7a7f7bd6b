//! `clarity sign`

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{CommandResult, ModelsArg, print, print_json};
use crate::manifest::Manifest;
use crate::signature::BUNDLE_FILE;
use crate::{Digest, ModelName, PrivateKey, Version};

/// Sign the files of a version in the format of OpenSSF Model Signing 1.0
///
/// Verifies the version first, and signs the verified digests. Writes a bundle that other tools
/// verify, such as PyPI's model-signing. The signature covers all files in the manifest, and
/// ignores manifest.json and model.sig.
///
/// Servers do not check signatures yet.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out sign.key
  openssl ec -in sign.key -pubout -out sign.pub
  clarity sign cole_kripke --key sign.key
  model_signing verify key models/cole_kripke/1 --no-ignore-git-paths \\
    --signature models/cole_kripke/1/model.sig --public_key sign.pub")]
pub(super) struct Sign {
    /// The model
    name: ModelName,
    /// The version to sign [default: the newest]
    #[arg(long, value_name = "V")]
    version: Option<Version>,
    #[command(flatten)]
    models: ModelsArg,
    /// The private key: on P-256, P-384 or P-521, in PKCS#8 PEM without a password
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The certificate of the key in PEM, followed by the certificates of its issuers. Without this
    /// flag, the bundle names the key by its fingerprint
    #[arg(long, value_name = "FILE")]
    certificates: Option<PathBuf>,
    /// Write the bundle to this file [default: model.sig in the directory of the version]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Sign {
    pub(super) fn run(&self) -> CommandResult {
        let store = self.models.store()?;
        let newest =
            || super::list::versions(&store, &self.name).map(|found| found.last().copied());
        let version = match self.version {
            Some(version) => version,
            None => newest()?.ok_or_else(|| format!("{} has no version to sign", self.name))?,
        };
        let verified = store
            .open(&self.name, version)
            .map_err(|error| format!("cannot sign {} {version}: {error}", self.name))?;
        let key = PrivateKey::from_pem(&read(&self.key)?)
            .map_err(|error| format!("{}: {error}", self.key.display()))?;
        let certificates = self.certificates.as_deref().map(read).transpose()?;
        let files: BTreeMap<String, Digest> = verified
            .manifest()
            .files()
            .iter()
            .map(|(path, entry)| (path.as_str().to_owned(), entry.sha256))
            .collect();
        if files.contains_key(BUNDLE_FILE) {
            let name = &self.name;
            let reason = "the manifest lists a file of this name: publish the model without it";
            return Err(format!("cannot sign {name} {version}: {BUNDLE_FILE}: {reason}").into());
        }
        let ignored = [Manifest::FILE_NAME, BUNDLE_FILE];
        let bundle = key.sign(
            self.name.as_str(),
            &files,
            &ignored,
            certificates.as_deref(),
        )?;
        let output = self.output.clone().unwrap_or_else(|| {
            let directory = self.models.path().join(self.name.as_str());
            directory.join(version.to_string()).join(BUNDLE_FILE)
        });
        write(&output, &bundle).map_err(|error| format!("{}: {error}", output.display()))?;
        let fingerprint = key.public_key().fingerprint();
        if self.json {
            print_json(&json!({
                "model": self.name,
                "version": version,
                "bundle": output,
                "key": fingerprint,
            }))?;
        } else {
            let (name, files, bundle) = (&self.name, files.len(), output.display());
            print(format_args!(
                "signed {name} {version}: {files} file(s), key {fingerprint}, bundle {bundle}\n"
            ))?;
        }
        Ok(true)
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Replaces a file atomically: writes and syncs a new file, then renames it.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // Servers do not report names that begin with two dots.
    let staged = file.with_file_name(format!("..{name}.{}", std::process::id()));
    let written = (|| {
        let mut new = fs::File::create_new(&staged)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&staged, file)
    })();
    if written.is_err() {
        // The first error says more than an error of this removal.
        let _ = fs::remove_file(&staged);
    }
    written
}
