//! The part of a manifest that comes from the trial of the version before its publication.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};

use super::Manifest;
use crate::{RuntimeId, SecondOpinion};

impl Manifest {
    /// The outputs whose number of dimensions the model declares wrongly, with the right number.
    /// `None` means that the number varies. Requests are answered as if the model declared this
    /// number.
    pub fn output_ranks(&self) -> &BTreeMap<String, Option<u8>> {
        &self.output_ranks
    }

    /// Why the version was [unprobed](crate::Trial::Unprobed) when it was published. `None` if its
    /// trial succeeded, or if it was not tried.
    pub fn unprobed(&self) -> Option<&str> {
        self.unprobed.as_deref()
    }

    /// The runtime that ran the version in its trial before the publication. `None` if the version
    /// was not tried. A server can choose another runtime.
    pub fn runtime(&self) -> Option<&RuntimeId> {
        self.runtime.as_ref()
    }

    /// The second opinion in the trial before the publication. `None` if no second runtime was
    /// asked. A server asks again.
    pub fn second_opinion(&self) -> Option<&SecondOpinion> {
        self.second_opinion.as_deref()
    }

    /// The same manifest with overridden ranks of outputs.
    pub(crate) fn with_output_ranks(self, output_ranks: BTreeMap<String, Option<u8>>) -> Self {
        Self {
            output_ranks,
            ..self
        }
    }

    /// The same manifest for a version that is unprobed for the reason `why`.
    pub(crate) fn with_unprobed(self, why: &str) -> Self {
        Self {
            unprobed: Some(why.to_owned()),
            ..self
        }
    }

    /// The same manifest for a version that was tried with `runtime`, and whose second opinion is
    /// `second_opinion`.
    pub(crate) fn with_runtime(
        self,
        runtime: RuntimeId,
        second_opinion: Option<SecondOpinion>,
    ) -> Self {
        Self {
            runtime: Some(runtime),
            second_opinion: second_opinion.map(Box::new),
            ..self
        }
    }
}

/// Deserializes the table of ranks. Refuses duplicate names.
// A plain map would silently keep only the last of several ranks of the same output.
pub(super) fn deserialize_ranks<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Option<u8>>, D::Error> {
    deserializer.deserialize_map(RankTableVisitor)
}

struct RankTableVisitor;

impl<'de> Visitor<'de> for RankTableVisitor {
    type Value = BTreeMap<String, Option<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of ranks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut ranks = BTreeMap::new();
        while let Some((output, rank)) = map.next_entry::<String, Option<u8>>()? {
            if ranks.insert(output, rank).is_some() {
                return Err(A::Error::custom("an output is listed twice"));
            }
        }
        Ok(ranks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"manifest_version": 1, "model": "m", "version": 1,
        "format": "onnx", "entry": "a", "created_at": "2026-01-31T09:30:00Z", "files": {"a":
        {"size": 3, "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}"#;

    fn parse(more: &str) -> Result<Manifest, String> {
        let json = format!("{MANIFEST}{more}}}");
        Manifest::parse(json.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn manifest_with_ranks_and_unprobed_round_trips() {
        let plain = parse("").unwrap();
        assert_eq!((plain.unprobed(), plain.output_ranks().len()), (None, 0));
        assert!(!plain.to_json().contains("unprobed"));
        let parsed = parse(r#", "unprobed": "why", "output_ranks": {"y": 3, "z": null}"#).unwrap();
        assert_eq!(parsed.unprobed(), Some("why"));
        assert_eq!(parsed.output_ranks()["y"], Some(3));
        assert_eq!(parsed.output_ranks()["z"], None);
        assert_eq!(Manifest::parse(parsed.to_json().as_bytes()), Ok(parsed));
    }

    #[test]
    fn manifest_with_a_runtime_round_trips() {
        let plain = parse("").unwrap();
        assert_eq!(plain.runtime(), None);
        assert!(!plain.to_json().contains("runtime"));
        let rten = RuntimeId::new("rten", "0.27.0");
        let opinion = SecondOpinion::Agreed {
            runtime: RuntimeId::new("other", ""),
            compared: 8,
            tried: 9,
        };
        let written = plain.with_runtime(rten.clone(), Some(opinion.clone()));
        let written = written.to_json();
        let parsed = Manifest::parse(written.as_bytes()).unwrap();
        assert_eq!(parsed.runtime(), Some(&rten));
        assert_eq!(parsed.second_opinion(), Some(&opinion));
        for more in [
            r#", "runtime": "rten""#,
            r#", "runtime": {"name": "rten"}"#,
            r#", "runtime": {"name": "rten", "version": "1", "more": 1}"#,
        ] {
            assert!(parse(more).is_err(), "{more}");
        }
    }

    #[test]
    fn manifest_with_wrong_ranks_is_refused() {
        for (more, says) in [
            (r#", "output_ranks": {"y": 3, "y": 2}"#, "listed twice"),
            (r#", "output_ranks": {"y": -1}"#, "invalid value"),
            (r#", "output_ranks": {"y": 256}"#, "invalid value"),
            (r#", "output_ranks": {"y": "any"}"#, "invalid type"),
            (r#", "output_ranks": {"y": [3]}"#, "found a list"),
            (r#", "unprobed": true"#, "invalid type"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.contains(says), "{more}: {error}");
        }
    }
}
