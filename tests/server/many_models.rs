//! A server polls each model less often if it has many models.

use clarity_testbed::*;

/// The interval of the polls is 2 s with this number of models, instead of 1 s.
const MODELS: usize = 160;

#[tokio::test]
#[cfg(target_os = "linux")]
async fn change_is_noticed_before_the_rare_poll() {
    let clock = ManualClock::start();
    let models = Repository::temporary();
    for number in 0..MODELS {
        models.publish_scaled(&format!("m{number}"), 1.0).unwrap();
    }
    let (server, _client) = serve(&models).await;
    let mut watch = server.models().watch("m7").unwrap();
    let serves = |version| {
        move |now: &clarity::ModelStatus| now.serving.is_some_and(|(v, _)| v.get() == version)
    };
    within("the first version", watch.wait_for(serves(1))).await;
    models.publish_scaled("m7", 2.0).unwrap();
    clock.run_out(1.0).await;
    // The clock stands still: the poll would come a second later.
    within("the second version", watch.wait_for(serves(2))).await;
}

#[tokio::test]
async fn models_that_were_not_asked_have_two_series() {
    let _clock = ManualClock::start();
    let models = Repository::temporary();
    for number in 0..MODELS {
        models.publish(&format!("m{number}"), MODEL_BYTES);
    }
    models.publish("bad", b"not a model");
    let (server, client) = serve(&models).await;
    let series = |model: &str| {
        let label = format!("model=\"{model}\"");
        let text = server.metrics().render();
        text.lines().filter(|line| line.contains(&label)).count()
    };
    assert_eq!(series("m7"), 2);
    assert!(series("bad") > 90, "a failed load");
    let answer = client.post("/v2/models/m7/infer", &short_request()).await;
    assert_eq!(answer.unwrap().status, 200);
    assert!(series("m7") > 90, "{}", series("m7"));
    assert_eq!(series("m8"), 2);
    let count = r#"model_load_duration_seconds_count{model="m7"}"#;
    assert_eq!(metric(&server, count), 1.0, "the load before the request");
}
