//! Second opinions in the vetting process, whose second runtime is hostile.
//!
//! The vetting process is this test program itself: it runs one of the ignored tests below, which
//! answers as `clarity vet` does, and ends the process.

use std::io::Write as _;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use clarity::{
    AutoRuntime, SecondOpinionPolicy, Server, Tensor, Vetting, VettingError, VettingLimits,
    VettingLimits as Limits,
};

use clarity_testbed::*;

use SecondOpinionPolicy::{Require, Warn};

/// Answers one request for vetting, with a second runtime whose outputs are `replace`d.
fn answer(replace: impl Fn(Vec<Tensor>) -> Vec<Tensor> + Send + Sync + 'static) {
    let is_child = std::env::args().any(|arg| arg == "--ignored");
    if !is_child {
        return;
    }
    // Ends the line that the test harness has begun.
    println!();
    std::io::stdout().flush().unwrap();
    let second = FakeRuntime::new("second").answering(move |outputs| Ok(replace(outputs)));
    let runtime = AutoRuntime::new(Arc::new(FakeRuntime::new("first")), Arc::new(second));
    let answered = Vetting::answer(&runtime, std::io::stdin().lock(), std::io::stdout());
    process::exit(answered.is_err().into());
}

#[test]
#[ignore = "runs as the vetting process of other tests"]
fn child_that_agrees() {
    answer(|outputs| outputs);
}

#[test]
#[ignore = "runs as the vetting process of other tests"]
fn child_that_disagrees() {
    answer(|outputs| outputs.into_iter().rev().collect());
}

#[test]
#[ignore = "runs as the vetting process of other tests"]
fn child_that_aborts() {
    answer(|_| process::abort());
}

#[test]
#[ignore = "runs as the vetting process of other tests"]
fn child_that_hangs() {
    answer(|outputs| {
        std::thread::sleep(2 * LIMIT);
        outputs
    });
}

fn vetting(child: &str, limits: VettingLimits) -> Vetting {
    let test = format!("vetted_opinion::child_that_{child}");
    let args = ["--exact", &test, "--ignored", "--nocapture"];
    Vetting::child(std::env::current_exe().unwrap(), &args, limits)
}

/// Serves the model with two good runtimes, vetted by this child.
async fn serve_vetted(
    models: &Repository,
    child: &str,
    policy: SecondOpinionPolicy,
    limits: VettingLimits,
) -> (Server, Client) {
    let (first, second) = (FakeRuntime::new("first"), FakeRuntime::new("second"));
    let runtime = AutoRuntime::new(Arc::new(first), Arc::new(second.clone()));
    let builder = Server::builder(models.root()).config(config());
    let builder = builder.executor(clarity::Inline).runtime(runtime);
    let vetting = vetting(child, limits).second_opinion(policy);
    let serving = start(builder.vetting(vetting)).await;
    assert_eq!(
        second.loads(),
        0,
        "the second runtime was asked outside of the child"
    );
    serving
}

/// The result and the sentence of the second opinion, or the body of the refusal.
async fn outcome(client: &Client) -> (String, String) {
    let metadata = client.get("/v2/models/cole_kripke").await.unwrap();
    if metadata.status != 200 {
        return ("refused".to_owned(), metadata.body);
    }
    let json = metadata.json();
    let text = |name: &str| json["parameters"][name].as_str().unwrap().to_owned();
    (text("second_opinion"), text("second_opinion_detail"))
}

#[tokio::test]
async fn answers_are_compared_in_the_vetting_process() {
    let models = Repository::temporary_with_model();
    for (child, policy, result, says) in [
        ("agrees", Require, "agreed", "to 8 of 8 input(s)"),
        (
            "disagrees",
            Warn,
            "disagreed",
            "output sleep_index: first 1.2.3 answers FP32",
        ),
        (
            "disagrees",
            Require,
            "refused",
            "output sleep_index: first 1.2.3 answers FP32",
        ),
    ] {
        let serving = serve_vetted(&models, child, policy, Limits::default()).await;
        let (found, detail) = outcome(&serving.1).await;
        assert_eq!(found, result, "{child}, {policy}: {detail}");
        assert!(detail.contains(says), "{child}, {policy}: {detail}");
        let opinion = if result == "refused" {
            "disagreed"
        } else {
            result
        };
        let labels = format!(r#"{{model="cole_kripke",result="{opinion}"}}"#);
        let series = format!("model_second_opinions_total{labels}");
        assert_eq!(metric(&serving.0, &series), 1.0, "{child}, {policy}");
    }
}

/// A fault of the second runtime takes away no version that the first one serves.
#[cfg(unix)]
#[tokio::test]
async fn fault_of_the_second_runtime_is_no_verdict() {
    let mut short = Limits::default();
    short.time = Duration::from_secs(10);
    for (child, limits, says) in [
        ("aborts", Limits::default(), "aborted"),
        ("hangs", short, "did not answer within 10s"),
    ] {
        let models = Repository::temporary_with_model();
        let (_server, client) = serve_vetted(&models, child, Warn, limits).await;
        let (found, detail) = outcome(&client).await;
        assert_eq!(found, "uncompared", "{child}: {detail}");
        assert!(
            detail.contains("no answer of second 1.2.3 was compared"),
            "{detail}"
        );
        assert!(detail.contains(says), "{child}: {detail}");
        let answer = client.post(INFER, &short_request()).await.unwrap();
        assert_eq!(answer.body, SHORT_ANSWER, "{child}");
    }
}

/// With `require`, a version whose comparison did not end is refused, and the step is named.
#[cfg(unix)]
#[test]
fn fault_of_the_second_runtime_refuses_if_required() {
    let models = Repository::temporary_with_model();
    let opened = models.store.open(&MODEL.parse().unwrap(), version(1));
    let vetting = vetting("aborts", Limits::default()).second_opinion(Require);
    let error = vetting.vet(&opened.unwrap()).unwrap_err();
    assert!(matches!(error, VettingError::Died { .. }), "{error}");
    assert!(
        error.to_string().contains("during drawn input 1"),
        "{error}"
    );
}
