//! Reports to look at: the page, what GitHub shows, and both of runs that are over; and tests that were tried again.

use crate::suite;
use serde_json::Value;

/// What a page to look at has to draw.
fn data_of(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn a_page_to_look_at_has_everything_in_it_and_nothing_of_it_is_markup() {
    let suite = suite();
    let path = suite.tmp().join("deep/report.html");
    let ran = suite.run([
        "--exact",
        "stories::a_breaker_opens_after_a_fault",
        "endings::passes",
        "--seed",
        "18446744073709551615",
        "--html",
        path.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, Some(101));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(!page.contains("{{"), "a place was left unfilled");
    assert!(
        !page.contains("http://") || !page.contains("src="),
        "it needs the network"
    );
    assert!(!page.contains("<b>not bold"));
    let data = data_of(&page);
    // Numbers that a script cannot hold are text.
    assert_eq!(data["seed"], "18446744073709551615");
    assert_eq!(data["tests"].as_array().unwrap().len(), 2);
    let test = &data["tests"][1];
    assert_eq!(test["verdict"], "failed");
    assert_eq!(test["name"], "stories::a_breaker_opens_after_a_fault");
    let record = &test["record"];
    assert_eq!(record["root_seed"], "18446744073709551615");
    assert!(record["seed"].is_string());
    assert!(
        record["output"]["text"]
            .as_str()
            .unwrap()
            .contains("<b>not bold</b>")
    );
    let events = record["timeline"].as_array().unwrap();
    let place = |is: &dyn Fn(&Value) -> bool| events.iter().position(is).unwrap();
    let injected = place(&|event| event["event"] == "fault_injected");
    let opened = place(&|event| event["fields"]["to"] == "open");
    let marked = place(&|event| event["event"] == "mark" && event["label"] == "503 damaged");
    let undone = place(&|event| event["event"] == "fault_undone");
    assert!(injected < marked && marked < opened && opened < undone);
}

#[test]
fn a_page_of_a_sweep_tells_the_seeds_that_failed() {
    let suite = suite();
    let path = suite.tmp().join("sweep.html");
    let regressions = suite.tmp().join("regressions.txt");
    suite.run([
        "--exact",
        "stories::a_breaker_opens_after_a_fault",
        "--seeds",
        "5..9",
        "--regressions",
        regressions.to_str().unwrap(),
        "--html",
        path.to_str().unwrap(),
    ]);
    let data = data_of(&std::fs::read_to_string(&path).unwrap());
    let cases = &data["tests"][0]["cases"];
    assert_eq!(cases["total"], 4);
    assert_eq!(cases["first_seed"], "5");
    assert_eq!(
        cases["failing_seeds"],
        serde_json::json!(["5", "6", "7", "8"])
    );
}

#[test]
fn github_is_told_where_the_test_stands_and_what_happened() {
    let suite = suite();
    let summary = suite.tmp().join("summary.md");
    std::fs::write(&summary, "what was there\n").unwrap();
    let output = suite
        .command()
        .args(["--exact", "stories::a_breaker_opens_after_a_fault"])
        .args(["endings::passes", "--seed", "42"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let annotations: Vec<_> = told.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(annotations.len(), 1, "{told}");
    let place = "::error file=harness/conformance/src/misbehaving/stories.rs,line=";
    assert!(annotations[0].starts_with(place), "{annotations:?}");
    assert!(
        annotations[0].contains("title=stories%3A%3Aa_breaker_opens_after_a_fault (seed 42)::")
    );
    assert!(
        annotations[0].contains("%0Aagain: cargo "),
        "{annotations:?}"
    );
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(summary.starts_with("what was there\n## ❌ "), "{summary}");
    assert!(summary.contains("| 1 | 1 | 0 |"), "{summary}");
    let bars: Vec<_> = summary
        .lines()
        .filter(|line| line.starts_with("fault "))
        .collect();
    assert_eq!(bars.len(), 2, "{summary}");
    assert!(
        bars[0].contains("·█") && bars[0].contains("█·") && bars[0].contains("of model flipped")
    );
    assert!(summary.contains("\nlogs       "), "{summary}");
    let lane = |name: &str| {
        let line = summary.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no lane {name}: {summary}"))
            .to_owned()
    };
    let (states, requests) = (lane("sleep "), lane("requests "));
    let place = |text: &str| {
        states
            .find(text)
            .unwrap_or_else(|| panic!("no {text}: {states}"))
    };
    assert!(place("│closed─") < place("─│open─") && place("─│open─") < place("─│half"));
    // Requests fail before the breaker opens; none is made while it is open.
    let beginning = states.chars().position(|c| c == '│').unwrap();
    let drawn: String = requests
        .chars()
        .skip(beginning)
        .filter(|c| *c != '·')
        .collect();
    assert_eq!(drawn, "ooooxxxox");

    let elsewhere = suite
        .command()
        .args(["--exact", "stories::a_breaker_opens_after_a_fault"])
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap();
    assert!(
        !String::from_utf8(elsewhere.stdout)
            .unwrap()
            .contains("::error")
    );
}

#[test]
fn reports_are_made_from_records_of_several_runs_later() {
    let suite = suite();
    let (one, other) = (suite.tmp().join("one"), suite.tmp().join("other"));
    let run = |history: &std::path::Path, test: &str, seed: &str| {
        let output = suite
            .command()
            .args(["--exact", test, "--seed", seed, "--history"])
            .arg(history)
            .output();
        output.unwrap().status.code()
    };
    let story = "stories::a_breaker_opens_after_a_fault";
    assert_eq!(run(&one, story, "1"), Some(101));
    assert_eq!(run(&other, "endings::passes", "2"), Some(0));
    // Later than the one beside it, and so the one that counts.
    assert_eq!(run(&other, story, "3"), Some(101));

    let page = suite.tmp().join("report.html");
    let retold = suite
        .command()
        .arg("--records")
        .args([&one, &other])
        .arg("--html")
        .arg(&page)
        .output()
        .unwrap();
    let told = String::from_utf8(retold.stdout).unwrap();
    assert_eq!(retold.status.code(), Some(101), "{told}");
    assert!(
        told.contains("1 tests passed; 1 failed; 0 skipped"),
        "{told}"
    );
    assert!(told.contains("had hoped for more"), "{told}");
    let data = data_of(&std::fs::read_to_string(&page).unwrap());
    assert_eq!(data["tests"].as_array().unwrap().len(), 2);
    assert_eq!(data["tests"][1]["record"]["root_seed"], "3");

    let nothing = suite.tmp().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    std::fs::write(suite.tmp().join("no-record.json"), "{}").unwrap();
    for (path, says) in [
        (nothing, "expected records, found none"),
        (
            suite.tmp().join("no-record.json"),
            "expected a record of a test",
        ),
        (suite.tmp().join("nowhere"), "No such file"),
    ] {
        let refused = suite
            .command()
            .arg("--records")
            .arg(&path)
            .output()
            .unwrap();
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains(says), "{told}");
        assert!(told.contains(path.to_str().unwrap()), "{told}");
    }
}

#[test]
fn what_passes_when_it_is_tried_again_is_flaky_and_does_not_fail_the_run() {
    let suite = suite();
    let file = suite.tmp().join("outside");
    let junit = suite.tmp().join("report.xml");
    let test = "stories::fails_at_first";
    let run = |retries: &str| {
        std::fs::write(&file, "").unwrap();
        let output = suite
            .command()
            .args(["--exact", test, "--retries", retries, "--junit"])
            .arg(&junit)
            .env("MISBEHAVING_FILE", &file)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let record = suite.records().remove(test).unwrap();
        (output.status.code(), told, record)
    };
    let (code, told, record) = run("2");
    assert_eq!(code, Some(0), "{told}");
    assert!(record.is_flaky());
    let before: Vec<_> = record
        .failed_before
        .iter()
        .map(|failed| failed.verdict.to_string())
        .collect();
    assert_eq!(before.len(), 2);
    assert!(
        before[1].contains("it has run 1 times before"),
        "{before:?}"
    );
    assert!(
        told.contains("flaky: stories::fails_at_first passed at attempt 3"),
        "{told}"
    );
    let report = std::fs::read_to_string(&junit).unwrap();
    assert_eq!(report.matches("<flakyFailure").count(), 2, "{report}");
    assert!(report.contains("failures=\"0\""), "{report}");

    let (code, told, record) = run("1");
    assert_eq!(code, Some(101), "{told}");
    assert!(!record.is_flaky());
    assert_eq!(record.failed_before.len(), 1);
    let report = std::fs::read_to_string(&junit).unwrap();
    assert_eq!(report.matches("<rerunFailure").count(), 1, "{report}");
    assert!(!told.contains("flaky:"), "{told}");
}

/// A record of a later release may have events that this one does not know.
#[test]
fn events_of_later_releases_are_passed_over() {
    let suite = suite();
    let ran = suite.run(["--exact", "endings::passes_and_tells"]);
    assert_eq!(ran.code, Some(0));
    let folder = suite.history().join("records");
    let path = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let later =
        serde_json::json!({ "at_us": 1, "thread": "t", "event": "brand_new", "what": [1, 2] });
    record["timeline"].as_array_mut().unwrap().push(later);
    std::fs::write(&path, record.to_string()).unwrap();
    let report = suite.tmp().join("later.html");
    let told = suite.run([
        "--records".as_ref(),
        folder.as_os_str(),
        "--html".as_ref(),
        report.as_os_str(),
    ]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let data = data_of(&std::fs::read_to_string(report).unwrap());
    let events = data["tests"][0]["record"]["timeline"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["event"], "unknown");
}

/// A grid of seeds is for sweeps of which all has run; shards have gaps.
#[test]
fn a_page_of_a_sweep_knows_whether_all_of_it_has_run() {
    let suite = suite();
    let path = suite.tmp().join("sweep.html");
    for (shard, seeds) in [("1/1", 20), ("1/2", 0)] {
        let sweep = [
            "--exact",
            "sweeps::never_fails",
            "--seeds",
            "0..20",
            "--html",
        ];
        let mut arguments = sweep.to_vec();
        arguments.push(path.to_str().unwrap());
        if seeds == 0 {
            arguments.extend(["--shard", shard]);
        }
        suite.run(arguments);
        let data = data_of(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(data["tests"][0]["cases"]["seeds"], seeds);
    }
}
