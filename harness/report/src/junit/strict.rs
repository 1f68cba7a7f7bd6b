//! The strict dialect, for programs that accept only the attributes in their schema. The dialect
//! follows `types/model/xsd/junit-10.xsd` of [Jenkins' xUnit plug-in].
//!
//! In this dialect, a test lacks the attributes `file`, `line` and `timestamp`. Report readers for
//! GitLab and GitHub use these attributes, so the extended dialect has them.
//!
//! [Jenkins' xUnit plug-in]: https://github.com/jenkinsci/xunit-plugin

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, Writer};
use std::io;

/// Returns the attributes that the schema allows in elements with the name `element`.
fn attributes_of(element: &[u8]) -> &'static [&'static str] {
    match element {
        b"testsuites" => &["name", "time", "tests", "failures", "errors"],
        b"testsuite" => &[
            "name",
            "tests",
            "failures",
            "errors",
            "time",
            "skipped",
            "timestamp",
        ],
        b"testcase" => &["name", "time", "classname"],
        b"failure" | b"error" | b"skipped" | b"flakyFailure" | b"rerunFailure" => {
            &["type", "message"]
        }
        b"property" => &["name", "value"],
        _ => &[],
    }
}

/// Returns the report without the attributes that the schema does not allow.
pub(super) fn strict(report: &str) -> io::Result<String> {
    let mut reader = Reader::from_str(report);
    let mut writer = Writer::new(Vec::new());
    loop {
        let event = match reader.read_event().map_err(io::Error::other)? {
            Event::Eof => break,
            Event::Start(element) => Event::Start(kept(&element)?),
            Event::Empty(element) => Event::Empty(kept(&element)?),
            other => other,
        };
        writer.write_event(event)?;
    }
    String::from_utf8(writer.into_inner()).map_err(io::Error::other)
}

fn kept(element: &BytesStart<'_>) -> io::Result<BytesStart<'static>> {
    let name = element.name();
    let allowed = attributes_of(name.as_ref());
    let mut kept = BytesStart::new(String::from_utf8_lossy(name.as_ref()).into_owned());
    for attribute in element.attributes() {
        let attribute = attribute.map_err(io::Error::other)?;
        let key = attribute.key.as_ref();
        if allowed.iter().any(|known| known.as_bytes() == key) {
            // The value is copied as written in the report: its characters are already escaped.
            kept.push_attribute((key, attribute.value.as_ref()));
        }
    }
    Ok(kept)
}
