use super::*;

const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn json(files: &str) -> String {
    format!(
        r#"{{"manifest_version": 1, "model": "m", "version": 1, "format": "onnx", "entry": "model.onnx",
            "created_at": "2026-01-31T09:30:00Z", "files": {{{files}}}}}"#
    )
}

fn file(path: &str) -> String {
    format!(r#""{path}": {{"size": 3, "sha256": "{DIGEST}"}}"#)
}

#[test]
fn manifest_round_trip_through_json_is_equal() {
    let entry: FilePath = "model.onnx".parse().unwrap();
    let files = BTreeMap::from([(
        entry.clone(),
        FileEntry {
            size: 3,
            sha256: Digest::of(b"abc"),
        },
    )]);
    let manifest = Manifest::new(
        "m".parse().unwrap(),
        Version::FIRST,
        entry,
        SystemTime::UNIX_EPOCH,
        files,
    )
    .unwrap();
    assert_eq!(
        Manifest::parse(manifest.to_json().as_bytes()),
        Ok(manifest.clone())
    );
    assert_eq!(manifest.created_at(), "1970-01-01T00:00:00Z");
    assert_eq!(manifest.digest(), Digest::of(b"abc"));
}

#[test]
fn declaration_of_nonfinite_outputs_round_trips() {
    let plain = Manifest::parse(json(&file("model.onnx")).as_bytes()).unwrap();
    assert_eq!(plain.allow_nonfinite(), None);
    for (outputs, written) in [
        (
            NonFiniteOutputs::of(["all"]),
            "\"allow_nonfinite\": \"all\"",
        ),
        (
            NonFiniteOutputs::of(["b [", "a"]),
            "\"a\": true,\n    \"b [\": true",
        ),
    ] {
        let declared = plain.clone().with_nonfinite(outputs.clone());
        assert!(
            declared.to_json().contains(written),
            "{}",
            declared.to_json()
        );
        let read = Manifest::parse(declared.to_json().as_bytes()).unwrap();
        assert_eq!(read.allow_nonfinite(), Some(&outputs));
    }
    let none = plain.clone().with_nonfinite(NonFiniteOutputs::of([""; 0]));
    assert_eq!(none, plain);
}

#[test]
fn manifest_with_files_in_directories_is_accepted() {
    let manifest = Manifest::parse(
        json(&format!(
            "{}, {}",
            file("model.onnx"),
            file("weights/0.bin")
        ))
        .as_bytes(),
    )
    .unwrap();
    assert_eq!(manifest.files().len(), 2);
}

/// Each row has a description, a manifest with one defect, and a part of the expected error.
#[test]
fn hostile_manifest_is_refused_with_its_reason() {
    let good = json(&file("model.onnx"));
    assert!(Manifest::parse(good.as_bytes()).is_ok());
    let with_path = |path: &str| json(&format!("{}, {}", file("model.onnx"), file(path)));
    let many: Vec<String> = (0..=Manifest::MAX_FILES)
        .map(|n| file(&format!("f{n}")))
        .collect();
    let cases = [
        ("not JSON", "garbage".to_owned(), "expected value"),
        ("cut short", good[..good.len() / 2].to_owned(), "EOF"),
        ("something after it", format!("{good}{good}"), "trailing"),
        ("an array", "[]".to_owned(), "invalid"),
        ("null", "null".to_owned(), "invalid"),
        (
            "an unknown field",
            good.replacen('{', r#"{"signature": 1, "#, 1),
            "unknown field",
        ),
        (
            "an output that is not allowed",
            good.replacen('{', r#"{"allow_nonfinite": {"y": false}, "#, 1),
            "expected \"all\", or an object with the value true for each output",
        ),
        (
            "no output",
            good.replacen('{', r#"{"allow_nonfinite": {}, "#, 1),
            "expected \"all\", or an object",
        ),
        (
            "an output twice",
            good.replacen(
                '{',
                r#"{"allow_nonfinite": {"y": true, "\u0079": true}, "#,
                1,
            ),
            "the output y is listed twice",
        ),
        (
            "one output as a text",
            good.replacen('{', r#"{"allow_nonfinite": "y", "#, 1),
            "expected \"all\", or an object",
        ),
        (
            "null instead of outputs",
            good.replacen('{', r#"{"allow_nonfinite": null, "#, 1),
            "expected \"all\", or an object",
        ),
        (
            "a probe that is not listed",
            good.replacen('{', r#"{"probe": "probe.json", "#, 1),
            "the probe probe.json is not among the files",
        ),
        (
            "a probe that is the model",
            good.replacen('{', r#"{"probe": "model.onnx", "#, 1),
            "the probe model.onnx is not among the files",
        ),
        (
            "a probe elsewhere",
            good.replacen('{', r#"{"probe": "../p", "#, 1),
            "contains . or ..",
        ),
        (
            "a repeated field",
            good.replacen('{', r#"{"version": 2, "#, 1),
            "duplicate field",
        ),
        (
            "a missing field",
            good.replace(r#""version": 1, "#, ""),
            "missing field `version`",
        ),
        (
            "a later form",
            good.replace(r#""manifest_version": 1"#, r#""manifest_version": 2"#),
            "manifest_version",
        ),
        (
            "version zero",
            good.replace(r#""version": 1"#, r#""version": 0"#),
            "nonzero",
        ),
        (
            "a negative version",
            good.replace(r#""version": 1"#, r#""version": -1"#),
            "invalid value",
        ),
        (
            "a fraction as version",
            good.replace(r#""version": 1"#, r#""version": 1.5"#),
            "invalid type",
        ),
        (
            "an unknown format",
            good.replace("\"onnx\"", "\"pickle\""),
            "unknown variant",
        ),
        (
            "a bad model name",
            good.replace("\"m\"", "\"../m\""),
            "model's name",
        ),
        (
            "a bad date",
            good.replace("2026-01-31", "2026-02-31"),
            "RFC 3339",
        ),
        (
            "an entry that is not listed",
            good.replace("\"entry\": \"model.onnx\"", "\"entry\": \"other.onnx\""),
            "not among the files",
        ),
        ("no files", json(""), "not among the files"),
        (
            "a file twice",
            json(&format!("{}, {}", file("model.onnx"), file("model.onnx"))),
            "listed twice",
        ),
        (
            "a file twice, escaped",
            json(&format!(
                "{}, {}",
                file("model.onnx"),
                file("model\\u002eonnx")
            )),
            "listed twice",
        ),
        (
            "too many files",
            json(&many.join(",")),
            "more than 1024 files",
        ),
        ("an absolute path", with_path("/etc/passwd"), "absolute"),
        (
            "a path upwards",
            with_path("../1/model.onnx"),
            "contains . or ..",
        ),
        (
            "a path upwards inside",
            with_path("a/../b"),
            "contains . or ..",
        ),
        ("a dot", with_path("./a"), "contains . or .."),
        ("an empty component", with_path("a//b"), "empty component"),
        ("a final slash", with_path("a/"), "empty component"),
        ("an empty path", with_path(""), "empty"),
        ("a backslash", with_path("a\\\\b"), "backslash"),
        ("a drive", with_path("c:a"), "colon"),
        ("a NUL", with_path("a\\u0000b"), "control"),
        ("a long path", with_path(&"a".repeat(513)), "longer"),
        ("a deep path", with_path("a/b/c/d/e/f/g/h/i/j"), "deeply"),
        (
            "the manifest itself",
            with_path("manifest.json"),
            "manifest itself",
        ),
        (
            "an upper-case digest",
            good.replace(DIGEST, &DIGEST.to_uppercase()),
            "lower-case",
        ),
        ("a short digest", good.replace(DIGEST, &DIGEST[1..]), "64"),
        ("an empty digest", good.replace(DIGEST, ""), "64"),
        (
            "a negative size",
            good.replace(r#""size": 3"#, r#""size": -3"#),
            "invalid value",
        ),
        (
            "a size beyond 64 bits",
            good.replace(r#""size": 3"#, r#""size": 18446744073709551616"#),
            "invalid type",
        ),
        (
            "a size over the limit",
            good.replace(r#""size": 3"#, r#""size": 18446744073709551615"#),
            "expected at most 68719476736 bytes",
        ),
        (
            "an unknown field of a file",
            good.replace(r#""size": 3"#, r#""size": 3, "mode": 1"#),
            "unknown field",
        ),
        (
            "a size twice",
            good.replace(r#""size": 3"#, r#""size": 3, "size": 4"#),
            "duplicate field",
        ),
    ];
    for (what, text, says) in cases {
        let error = Manifest::parse(text.as_bytes())
            .expect_err(what)
            .to_string();
        assert!(
            error.contains(says),
            "{what}: {error:?} does not say {says:?}"
        );
    }
}

#[test]
fn manifest_of_invalid_utf8_is_refused() {
    let mut bytes = json(&file("model.onnx")).into_bytes();
    let place = bytes.iter().position(|&byte| byte == b'm').unwrap();
    bytes[place] = 0xff;
    assert!(Manifest::parse(&bytes).is_err());
}

#[test]
fn hostile_manifest_error_is_short_and_on_one_line() {
    let field = "z\\n".repeat(100_000);
    let text = json(&file("a")).replacen('{', &format!("{{\"{field}\": 1, "), 1);
    let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.chars().count() < 2_100, "{} characters", error.len());
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn manifest_with_an_array_for_an_object_is_refused() {
    let good = json(&file("model.onnx"));
    assert!(Manifest::parse(good.as_bytes()).is_ok());
    let bracketed = format!(r#"{good} "a\"[b""#);
    assert!(
        !contains_array(bracketed.as_bytes()),
        "brackets in texts are none"
    );
    let entry = format!(r#"[3, "{DIGEST}"]"#);
    let object = format!(r#"{{"size": 3, "sha256": "{DIGEST}"}}"#);
    for list in [
        good.replace(&object, &entry),
        r#"[1, "m", 1, "onnx", "a", "2026-01-31T09:30:00Z", {}]"#.to_owned(),
    ] {
        let error = Manifest::parse(list.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("found a list"), "{list}: {error}");
    }
}
