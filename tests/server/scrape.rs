//! The formats of the metrics, as scrapers request them.

use clarity_testbed::*;
use hyper::Method;
use hyper::body::Bytes;

/// What Prometheus 3 sends with native histograms.
const WITH_PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

async fn scrape(client: &Client, accept: &[&str]) -> Response {
    let headers: Vec<_> = accept.iter().map(|value| ("accept", *value)).collect();
    let scraped = client.send(Method::GET, "/metrics", &headers, Bytes::new());
    let response = scraped.await.unwrap();
    assert_eq!(response.status, 200, "{accept:?}");
    assert_eq!(response.headers["vary"], "accept");
    response
}

#[tokio::test]
async fn scraper_gets_the_format_of_higher_quality() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    for accept in [
        &[WITH_PROTOBUF][..],
        &["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
        &["text/plain;q=0.5", "application/openmetrics-text;q=0.6"],
    ] {
        let open = scrape(&client, accept).await;
        assert_eq!(
            open.headers["content-type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "{accept:?}"
        );
        assert!(open.body.ends_with("\n# EOF\n"), "{}", open.body);
        assert!(open.body.contains("# TYPE prediction_success counter\n"));
    }
    for accept in [
        &[][..],
        &["*/*"],
        &["application/openmetrics-text;q=0.1, text/plain;q=0.2"],
        &["application/openmetrics-text;q=0, */*"],
        &["application/openmetrics-text;version=0.0.1"],
    ] {
        let classic = scrape(&client, accept).await;
        assert_eq!(
            classic.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8",
            "{accept:?}"
        );
        assert!(!classic.body.contains("# EOF"), "{}", classic.body);
        assert!(
            classic
                .body
                .contains("# TYPE prediction_success_total counter\n")
        );
    }
}

/// A scraper that accepts neither format gets the default, and no error.
#[tokio::test]
async fn scraper_that_accepts_no_format_gets_prometheus_text() {
    let (_server, client) = serve(&Repository::temporary_with_model()).await;
    for accept in ["application/json", "text/plain;q=0", "nothing", ""] {
        let classic = scrape(&client, &[accept]).await;
        assert_eq!(
            classic.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8",
            "{accept:?}"
        );
    }
}
