//! Tests of the HTML page, of the annotations and summary for GitHub, of reports from saved
//! records, and of retries.

use crate::suite;
use clarity_chaos_conformance::limits::output_of;
use serde_json::Value;

/// Returns the JSON data that the page contains and draws.
fn data_of(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

/// Returns the addresses in a page, and the words that load resources. The address of the SVG
/// namespace is left out.
fn references(page: &str) -> Vec<&str> {
    const SVG: &str = "http://www.w3.org/2000/svg";
    let words = page.split(|c: char| c.is_whitespace() || "\"'`()<>,;".contains(c));
    let loads = [
        "src=",
        "href=",
        "srcset=",
        "@import",
        "fetch",
        "XMLHttpRequest",
        "WebSocket",
        "EventSource",
        "sendBeacon",
        "import",
        "url",
    ];
    let is_reference = |word: &&str| {
        let is_address = ["http://", "https://", "ws://", "wss://"]
            .iter()
            .any(|scheme| word.contains(scheme));
        let is_protocol_relative = word.starts_with("//") && word.len() > 2;
        (is_address && *word != SVG)
            || is_protocol_relative
            || loads
                .iter()
                .any(|load| word == load || load.ends_with('=') && word.starts_with(load))
    };
    words.filter(is_reference).collect()
}

#[test]
fn references_of_a_page_are_found_in_each_form() {
    for page in [
        "<script src=\"page.js\">",
        "<link rel=stylesheet href=page.css>",
        "<style>@import 'page.css';</style>",
        "p { background: url(page.png) }",
        "await fetch(\"data.json\")",
        "new WebSocket('wss://example.org')",
        "const at = \"//example.org/page.js\";",
        "made(\"https://example.org\")",
    ] {
        assert_ne!(references(page), Vec::<&str>::new(), "{page}");
    }
    assert_eq!(
        references("createElementNS(\"http://www.w3.org/2000/svg\", name); // a comment"),
        Vec::<&str>::new()
    );
}

#[test]
fn html_page_is_self_contained_and_escapes_output() {
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
    assert!(!page.contains("{{"), "a placeholder is left");
    assert_eq!(
        references(&page),
        Vec::<&str>::new(),
        "the page needs the network"
    );
    assert!(!page.contains("<b>not bold"));
    // The thread that writes the page may be restricted to one processor.
    let processors = std::thread::available_parallelism().unwrap();
    assert!(page.contains(&format!(", {processors} processors")));
    let data = data_of(&page);
    // JavaScript numbers cannot hold all 64-bit integers, so seeds are strings.
    assert_eq!(data["seed"], "18446744073709551615");
    assert_eq!(data["tests"].as_array().unwrap().len(), 2);
    let test = &data["tests"][1];
    assert_eq!(test["verdict"], "failed");
    assert_eq!(test["name"], "stories::a_breaker_opens_after_a_fault");
    let subjects = &test["subjects"];
    assert_eq!(subjects.as_array().unwrap().len(), 1, "{subjects}");
    assert_eq!(
        (&subjects[0]["message"], &subjects[0]["name"]),
        (&"circuit breaker".into(), &"sleep".into())
    );
    assert_eq!(subjects[0]["changes"][2]["to"], "closed");
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
fn html_page_of_a_sweep_lists_the_failing_seeds() {
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
fn github_annotation_and_summary_describe_the_failure() {
    let suite = suite();
    let summary = suite.tmp().join("summary.md");
    std::fs::write(&summary, "what was there\n").unwrap();
    let output = output_of(
        suite
            .command()
            .args(["--exact", "stories::a_breaker_opens_after_a_fault"])
            .args(["endings::passes", "--seed", "42"])
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", &summary),
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    let annotations: Vec<_> = printed
        .lines()
        .filter(|line| line.starts_with("::"))
        .collect();
    assert_eq!(annotations.len(), 1, "{printed}");
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
    // Requests fail before the breaker opens. No request is made while the breaker is open.
    let beginning = states.chars().position(|c| c == '│').unwrap();
    let drawn: String = requests
        .chars()
        .skip(beginning)
        .filter(|c| *c != '·')
        .collect();
    assert_eq!(drawn, "ooooxxxox");

    let elsewhere = output_of(
        suite
            .command()
            .args(["--exact", "stories::a_breaker_opens_after_a_fault"])
            .env_remove("GITHUB_ACTIONS"),
    );
    let printed = String::from_utf8(elsewhere.stdout).unwrap();
    assert_eq!(elsewhere.status.code(), Some(101), "{printed}");
    assert!(!printed.contains("::error"), "{printed}");
}

#[test]
fn reports_are_made_from_saved_records_of_several_runs() {
    let suite = suite();
    let (one, other) = (suite.tmp().join("one"), suite.tmp().join("other"));
    let run = |history: &std::path::Path, test: &str, seed: &str| {
        let mut command = suite.command();
        command
            .args(["--exact", test, "--seed", seed, "--history"])
            .arg(history);
        output_of(&mut command).status.code()
    };
    let story = "stories::a_breaker_opens_after_a_fault";
    assert_eq!(run(&one, story, "1"), Some(101));
    assert_eq!(run(&other, "endings::passes", "2"), Some(0));
    // If a test has two records, the later one counts.
    assert_eq!(run(&other, story, "3"), Some(101));

    let page = suite.tmp().join("report.html");
    let output = output_of(
        suite
            .command()
            .arg("--records")
            .args([&one, &other])
            .arg("--html")
            .arg(&page),
    );
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(101), "{printed}");
    assert!(
        printed.contains("1 tests passed; 1 failed; 0 skipped"),
        "{printed}"
    );
    assert!(printed.contains("had hoped for more"), "{printed}");
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
        let refused = output_of(suite.command().arg("--records").arg(&path));
        let printed = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{printed}");
        assert!(printed.contains(says), "{printed}");
        assert!(printed.contains(path.to_str().unwrap()), "{printed}");
    }
}

#[test]
fn test_that_passes_on_a_retry_is_flaky_and_no_failure() {
    let suite = suite();
    let file = suite.tmp().join("outside");
    let junit = suite.tmp().join("report.xml");
    let test = "stories::fails_at_first";
    let run = |retries: &str| {
        std::fs::write(&file, "").unwrap();
        let output = output_of(
            suite
                .command()
                .args(["--exact", test, "--retries", retries, "--junit"])
                .arg(&junit)
                .env("MISBEHAVING_FILE", &file),
        );
        let printed = String::from_utf8(output.stdout).unwrap();
        let record = suite.records().remove(test).unwrap();
        (output.status.code(), printed, record)
    };
    let (code, printed, record) = run("2");
    assert_eq!(code, Some(0), "{printed}");
    assert!(record.is_flaky());
    let before: Vec<_> = record
        .failed_attempts
        .iter()
        .map(|failed| failed.verdict.to_string())
        .collect();
    assert_eq!(before.len(), 2);
    assert!(
        before[1].contains("it has run 1 times before"),
        "{before:?}"
    );
    assert!(
        printed.contains("flaky: stories::fails_at_first passed at attempt 3"),
        "{printed}"
    );
    let report = std::fs::read_to_string(&junit).unwrap();
    assert_eq!(report.matches("<flakyFailure").count(), 2, "{report}");
    assert!(report.contains("failures=\"0\""), "{report}");

    let (code, printed, record) = run("1");
    assert_eq!(code, Some(101), "{printed}");
    assert!(!record.is_flaky());
    assert_eq!(record.failed_attempts.len(), 1);
    let report = std::fs::read_to_string(&junit).unwrap();
    assert_eq!(report.matches("<rerunFailure").count(), 1, "{report}");
    assert!(!printed.contains("flaky:"), "{printed}");
}

/// A record from a later release can contain events that this release does not know.
#[test]
fn unknown_events_of_later_releases_are_accepted() {
    let suite = suite();
    let ran = suite.run(["--exact", "endings::passes_and_tells"]);
    assert_eq!(ran.code, Some(0));
    let records = suite.history().join("records");
    let path = std::fs::read_dir(&records)
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
    let printed = suite.run([
        "--records".as_ref(),
        records.as_os_str(),
        "--html".as_ref(),
        report.as_os_str(),
    ]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let data = data_of(&std::fs::read_to_string(report).unwrap());
    let events = data["tests"][0]["record"]["timeline"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["event"], "unknown");
}

/// The page draws a grid of seeds only for a whole sweep: a shard does not run every seed.
#[test]
fn html_page_draws_a_grid_of_seeds_for_whole_sweeps_only() {
    let suite = suite();
    let path = suite.tmp().join("sweep.html");
    for (shard, seeds) in [(None, 20), (Some("1/2"), 0)] {
        let sweep = [
            "--exact",
            "sweeps::never_fails",
            "--seeds",
            "0..20",
            "--html",
        ];
        let mut arguments = sweep.to_vec();
        arguments.push(path.to_str().unwrap());
        if let Some(shard) = shard {
            arguments.extend(["--shard", shard]);
        }
        let ran = suite.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let data = data_of(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(data["tests"][0]["cases"]["seeds"], seeds);
    }
}
