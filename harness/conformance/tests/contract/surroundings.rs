//! Where tests are run: in containers, and not as their harness would have it.

use crate::suite;
use clarity_chaos::Verdict;
use std::process::Command;

/// Namespaces as a container has them, entered by a process whose session began outside: in there, the session has the number 0.
const CONTAINER: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

/// Whether such a container can be made here; where not, this says so.
fn are_containers_possible() -> bool {
    let possible = Command::new(CONTAINER[0])
        .args(&CONTAINER[1..])
        .arg("true")
        .status()
        .is_ok_and(|status| status.success());
    if !possible {
        eprintln!("not tried, since user namespaces are not allowed here");
    }
    possible
}

#[test]
fn a_session_that_began_outside_of_the_container_is_no_obstacle() {
    if !are_containers_possible() {
        return;
    }
    for sandbox in ["none", "all"] {
        let suite = suite().within(CONTAINER);
        let tests = ["endings::passes", "processes::leaves_a_child"];
        let mut ran = suite.run(["--exact", tests[0], tests[1], "--sandbox", sandbox]);
        let mut verdict_of = |test| match ran.records.remove(test) {
            Some(record) => record.verdict,
            None => panic!("no record of {test}: {}{}", ran.stdout, ran.stderr),
        };
        assert_eq!(verdict_of(tests[0]), Verdict::Passed, "{sandbox}");
        let what = vec!["process `sleep 1000`".to_owned()];
        assert_eq!(verdict_of(tests[1]), Verdict::Leaked { what }, "{sandbox}");
    }
}
