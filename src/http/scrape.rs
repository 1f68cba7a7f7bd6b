//! Answers scrapes of the metrics.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::response::IntoResponse;

use super::App;
use super::exposition_format::ExpositionFormat;

/// Renders the metrics in the format that the scraper prefers.
pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> impl IntoResponse {
    let format = ExpositionFormat::negotiate(&headers);
    let text = match format {
        ExpositionFormat::Prometheus => app.metrics.render(),
        ExpositionFormat::OpenMetrics => app.metrics.render_openmetrics(),
    };
    let headers = [
        (CONTENT_TYPE, format.content_type()),
        // Without this header, a cache could give one format to scrapers of the other.
        (VARY, ACCEPT.as_str()),
    ];
    (headers, text)
}
