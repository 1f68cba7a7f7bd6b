use std::fs;

use super::*;
use crate::store::tests::models::{COLE_KRIPKE, Models};

const SETTLE: Duration = Duration::from_secs(600);

/// Version 1 of a model, and the arrivals that look at it at times since the first look.
struct Scene {
    models: Models,
    arrivals: Arrivals,
    start: Instant,
}

impl Scene {
    fn new() -> Self {
        Self {
            models: Models::cole_kripke(),
            arrivals: Arrivals::new(SETTLE),
            start: Instant::now(),
        }
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(self.models.path("1/model.onnx"), bytes).unwrap();
    }

    /// Changes the inventory, but no size. So the result does not depend on the file system's
    /// clock.
    fn touch(&self, name: &str) {
        fs::write(self.models.path(&format!("1/{name}")), "").unwrap();
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn look(&mut self, seconds: u64) -> ArrivalVerdict {
        let model = "cole_kripke".parse().unwrap();
        let look = self.models.store.look(&model, Version::FIRST);
        let now = self.at(seconds);
        self.arrivals.judge(Version::FIRST, look, now, false)
    }

    fn is_arriving(&mut self, seconds: u64) -> bool {
        matches!(self.look(seconds), ArrivalVerdict::Arriving(_))
    }
}

#[test]
fn version_settles_a_settle_time_after_its_last_change() {
    let mut scene = Scene::new();
    scene.write(&COLE_KRIPKE[..10]);
    assert!(scene.is_arriving(0));
    assert!(scene.is_arriving(500));
    scene.write(&COLE_KRIPKE[..20]);
    assert!(scene.is_arriving(590));
    assert!(scene.is_arriving(1189));
    assert_eq!(scene.look(1190), ArrivalVerdict::Settled);
    // The copy continues, so the version is arriving again.
    scene.write(&COLE_KRIPKE[..30]);
    assert!(scene.is_arriving(2000));
    assert_eq!(scene.look(2600), ArrivalVerdict::Settled);
}

#[test]
fn complete_version_is_loaded_once_nothing_moves() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.look(0),
        ArrivalVerdict::Complete,
        "complete at first sight"
    );
    let mut scene = Scene::new();
    scene.write(&COLE_KRIPKE[..10]);
    assert!(scene.is_arriving(0));
    scene.write(COLE_KRIPKE);
    assert!(scene.is_arriving(1), "it moved since the last look");
    assert_eq!(scene.look(2), ArrivalVerdict::Complete);
}

#[test]
fn refused_files_are_read_again_only_after_a_change() {
    let mut scene = Scene::new();
    assert_eq!(scene.look(0), ArrivalVerdict::Complete);
    let (began, ended) = (scene.at(0), scene.at(30));
    scene
        .arrivals
        .refused(Version::FIRST, "it differs", began, ended);
    for second in 30..100 {
        assert_eq!(
            scene.look(second),
            ArrivalVerdict::Arriving("it differs".into())
        );
    }
    scene.touch("model.onnx.1");
    assert!(scene.is_arriving(100));
    assert_eq!(scene.look(101), ArrivalVerdict::Complete);
    let (began, ended) = (scene.at(101), scene.at(131));
    scene
        .arrivals
        .refused(Version::FIRST, "it differs", began, ended);
    scene.touch("model.onnx.2");
    assert!(scene.is_arriving(131));
    assert!(scene.is_arriving(160), "half of the time is for the others");
    assert_eq!(scene.look(161), ArrivalVerdict::Complete);
}

#[test]
fn settle_time_of_zero_settles_at_once() {
    let mut scene = Scene::new();
    scene.arrivals = Arrivals::new(Duration::ZERO);
    scene.write(&COLE_KRIPKE[..10]);
    assert_eq!(scene.look(0), ArrivalVerdict::Settled);
    scene.write(&COLE_KRIPKE[..20]);
    assert_eq!(scene.look(0), ArrivalVerdict::Settled);
    assert_eq!(scene.arrivals.next_look(scene.start, SETTLE), None);
}

#[test]
fn next_look_falls_into_the_poll_interval() {
    let mut scene = Scene::new();
    scene.write(&COLE_KRIPKE[..10]);
    assert!(scene.is_arriving(0));
    let poll = Duration::from_secs(4);
    let next = scene.arrivals.next_look(scene.start, poll);
    assert_eq!(next, Some(scene.at(1)));
    assert_eq!(scene.arrivals.versions(), BTreeSet::from([Version::FIRST]));
    scene.arrivals.retain(|_| false);
    assert_eq!(scene.arrivals.next_look(scene.start, poll), None);
}
