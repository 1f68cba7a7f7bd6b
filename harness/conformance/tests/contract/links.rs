//! Faults of links between a client and a server.

use crate::suite;
use clarity_chaos::Verdict;

#[test]
fn link_faults_take_effect_and_are_undone() {
    let ran = suite().run(["links::", "--skip", "drawn"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 11);
    for record in ran.records.values() {
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.faults_in_effect().count(), 0);
    }
    let has_sentence = |test: &str, sentence: &str| {
        let faults = &ran.records[test].faults;
        assert!(
            faults.iter().any(|fault| fault.description == sentence),
            "{test}: {faults:?}"
        );
    };
    has_sentence(
        "links::reset",
        "link echo reset after 3 bytes to the server",
    );
    has_sentence(
        "links::close",
        "link echo closed after 3 bytes to the client",
    );
    has_sentence(
        "links::latency",
        "link echo delayed by 40 ms and up to 40 ms more both ways",
    );
    has_sentence(
        "links::bandwidth",
        "link echo narrowed to 10000 bytes a second to the server",
    );
    has_sentence("links::stall", "link echo stalled to the client");
}

#[test]
fn plan_of_link_faults_follows_from_the_seed() {
    let plan = |seed: &str| {
        let mut ran = suite().run(["--exact", "links::drawn", "--seed", seed]);
        ran.records.remove("links::drawn").unwrap().faults
    };
    let first = plan("7");
    assert_eq!(first.len(), 4);
    assert_eq!(first, plan("7"));
    assert_ne!(first, plan("8"));
}

#[test]
#[cfg(target_os = "linux")]
fn connection_faults_hang_refuse_or_reset_new_connections() {
    let ran = suite().run(["connecting::"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 6);
    for (test, sentence) in [
        ("connecting::hang", "new connections to link echo hang"),
        (
            "connecting::refusal",
            "new connections to link echo refused",
        ),
        ("connecting::reset", "new connections to link echo reset"),
    ] {
        let record = &ran.records[test];
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.faults[0].description, sentence);
    }
}

#[test]
fn paced_and_held_bytes_move_when_a_fault_is_undone() {
    let ran = suite().run(["pacing::"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 7);
}
