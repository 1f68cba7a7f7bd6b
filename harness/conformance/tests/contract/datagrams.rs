//! Links for datagrams, and partitions of several links.

use crate::suite;
use clarity_chaos::EventKind;
use clarity_chaos::Verdict;

#[test]
fn datagram_faults_take_effect_and_are_undone() {
    let ran = suite().run(["datagrams::", "--skip", "drawn"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    assert_eq!(ran.records.len(), 8);
    for record in ran.records.values() {
        assert_eq!(record.verdict, Verdict::Passed);
        assert_eq!(record.faults_in_effect().count(), 0);
    }
    for (test, sentence) in [
        (
            "datagrams::loss",
            "50 % of the datagrams on link dns lost to the server",
        ),
        (
            "datagrams::reordering",
            "50 % of the datagrams on link dns overtaken both ways",
        ),
        (
            "datagrams::partition",
            "partition of link a asks b, link b asks a, link stream to b: to the server, \
             to the client, to the server",
        ),
    ] {
        assert_eq!(ran.records[test].faults[0].description, sentence);
    }
}

#[test]
fn lost_datagrams_follow_from_the_seed() {
    let lost = |seed: &str| {
        let ran = suite().run(["--exact", "datagrams::loss", "--seed", seed]);
        assert_eq!(ran.code, Some(0), "{}", ran.stdout);
        let events = &ran.records["datagrams::loss"].timeline;
        let note = events.iter().find_map(|event| match &event.kind {
            EventKind::Note { text } => Some(text.clone()),
            _ => None,
        });
        note.unwrap()
    };
    let first = lost("7");
    assert_eq!(first, lost("7"));
    assert_ne!(first, lost("8"));
}

#[test]
fn plan_of_datagram_faults_follows_from_the_seed() {
    let plan = |seed: &str| {
        let mut ran = suite().run(["--exact", "datagrams::drawn", "--seed", seed]);
        ran.records.remove("datagrams::drawn").unwrap().faults
    };
    let first = plan("7");
    assert_eq!(first.len(), 3);
    assert_eq!(first, plan("7"));
    assert_ne!(first, plan("8"));
}
