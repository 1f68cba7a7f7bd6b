//! Chooses the format of the metrics by the header `Accept`.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// A text format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpositionFormat {
    /// The text format of Prometheus, version 0.0.4.
    Prometheus,
    /// The OpenMetrics text format, version 1.0.0.
    OpenMetrics,
}

/// How well a media range matches a format. The last variant is the most specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    AnyType,
    AnySubtype,
    MediaType,
    Parameters(usize),
}

/// One media range of the header `Accept`, for example `text/*;q=0.5`.
#[derive(Debug)]
struct MediaRange<'a> {
    media_type: &'a str,
    subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    /// The quality, from 0 to 1.
    quality: f32,
}

impl ExpositionFormat {
    /// Chooses the format of higher quality: RFC 9110, section 12.5.1.
    ///
    /// Chooses [`Prometheus`](Self::Prometheus) without the header, and if no format is acceptable.
    /// Of two formats with the same quality, chooses OpenMetrics only if the header names it at
    /// least as specifically as the other one.
    // A scraper with an unusual header gets its metrics, because the response names the format.
    // With status 406, an operator would lose the metrics instead.
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let ranges = accepted.flat_map(|value| value.split(','));
        let ranges: Vec<MediaRange<'_>> = ranges.filter_map(MediaRange::parse).collect();
        let preference = |format: Self| {
            let matching = ranges.iter().filter_map(|range| range.matches(format));
            matching.max_by(|(one, _), (other, _)| one.cmp(other))
        };
        match (preference(Self::OpenMetrics), preference(Self::Prometheus)) {
            (Some((_, open)), None) if open > 0.0 => Self::OpenMetrics,
            (Some((_, open)), Some((_, classic))) if open > classic => Self::OpenMetrics,
            (Some((how, open)), Some((other, classic)))
                if open == classic && open > 0.0 && how >= other.max(Specificity::MediaType) =>
            {
                Self::OpenMetrics
            }
            _ => Self::Prometheus,
        }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    const fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Prometheus => ("text", "plain"),
            Self::OpenMetrics => ("application", "openmetrics-text"),
        }
    }

    /// Whether the format has this value of a media type's parameter.
    fn has(self, name: &str, value: &str) -> bool {
        let version = match self {
            Self::Prometheus => "0.0.4",
            Self::OpenMetrics => "1.0.0",
        };
        match name.to_ascii_lowercase().as_str() {
            "version" => value == version,
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            // Scrapers state here how to write names that are not ASCII. All names of the server
            // are ASCII.
            "escaping" => true,
            _ => false,
        }
    }
}

impl<'a> MediaRange<'a> {
    /// Returns `None` for a text that is not a media range.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (media_type, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self {
            media_type,
            subtype,
            parameters: Vec::new(),
            quality: 1.0,
        };
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            if name.eq_ignore_ascii_case("q") {
                let quality = value.parse().ok();
                range.quality = quality.filter(|quality| (0.0..=1.0).contains(quality))?;
                // Parameters after the quality do not belong to the media type.
                break;
            }
            range.parameters.push((name, value.trim_matches('"')));
        }
        Some(range)
    }

    /// How specifically the range matches a format, and the range's quality. `None` if it does not
    /// match.
    fn matches(&self, format: ExpositionFormat) -> Option<(Specificity, f32)> {
        let (media_type, subtype) = format.media_type();
        let specificity = if (self.media_type, self.subtype) == ("*", "*") {
            Specificity::AnyType
        } else if !self.media_type.eq_ignore_ascii_case(media_type) {
            return None;
        } else if self.subtype == "*" {
            Specificity::AnySubtype
        } else if !self.subtype.eq_ignore_ascii_case(subtype) {
            return None;
        } else if self.parameters.is_empty() {
            Specificity::MediaType
        } else {
            Specificity::Parameters(self.parameters.len())
        };
        let mut parameters = self.parameters.iter();
        let fits = parameters.all(|(name, value)| format.has(name, value));
        fits.then_some((specificity, self.quality))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::ExpositionFormat::{OpenMetrics, Prometheus};
    use super::*;

    #[track_caller]
    fn assert_negotiated(values: &[&'static str], expected: ExpositionFormat) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_static(value));
        }
        assert_eq!(
            ExpositionFormat::negotiate(&headers),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn headers_of_real_clients_get_their_preferred_format() {
        // Prometheus 2.42, and 3 without and with native histograms.
        for accept in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ] {
            assert_negotiated(&[accept], OpenMetrics);
        }
        // Prometheus with `scrape_protocols: [PrometheusText0.0.4, OpenMetricsText1.0.0]`.
        assert_negotiated(
            &[
                "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.4",
            ],
            Prometheus,
        );
        // curl, and browsers.
        assert_negotiated(&["*/*"], Prometheus);
        assert_negotiated(
            &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
            Prometheus,
        );
        assert_negotiated(&[], Prometheus);
    }

    #[test]
    fn higher_quality_decides() {
        for (accept, expected) in [
            (
                "application/openmetrics-text;q=0.4, text/plain;q=0.5",
                Prometheus,
            ),
            (
                "application/openmetrics-text;q=0.5, text/plain;q=0.4",
                OpenMetrics,
            ),
            (
                "text/plain;q=0.5, application/openmetrics-text; q=0.501",
                OpenMetrics,
            ),
            ("application/openmetrics-text;q=0, */*", Prometheus),
            ("application/openmetrics-text;q=0.0", Prometheus),
            ("text/plain;q=0, */*;q=0.1", OpenMetrics),
            (
                "text/plain;q=0, application/openmetrics-text;q=0.001",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;q=0.2, text/*;q=0.9, */*;q=0.1",
                Prometheus,
            ),
            ("application/openmetrics-text;q=0.2, */*;q=0.9", Prometheus),
            (
                "Application/OpenMetrics-Text;VERSION=\"1.0.0\";Q=1, text/plain;q=0.9",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;charset=UTF-8, text/plain;q=0.9",
                OpenMetrics,
            ),
        ] {
            assert_negotiated(&[accept], expected);
        }
        assert_negotiated(
            &["text/plain;q=0.5", "application/openmetrics-text;q=0.6"],
            OpenMetrics,
        );
    }

    #[test]
    fn most_specific_range_decides_about_each_format() {
        for (accept, expected) in [
            (
                "text/*;q=0.9, text/plain;q=0.1, application/openmetrics-text;q=0.5",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text, text/plain;q=0.5",
                Prometheus,
            ),
            (
                "text/plain;version=0.0.4;q=0.9, text/plain;q=0.1, application/openmetrics-text;q=0.5",
                Prometheus,
            ),
        ] {
            assert_negotiated(&[accept], expected);
        }
    }

    #[test]
    fn equal_quality_prefers_the_named_format() {
        for (accept, expected) in [
            ("application/openmetrics-text, text/plain", OpenMetrics),
            ("text/plain, application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text, */*", OpenMetrics),
            ("text/plain, */*", Prometheus),
            ("application/*, text/*", Prometheus),
            (
                "application/openmetrics-text, text/plain;version=0.0.4",
                Prometheus,
            ),
        ] {
            assert_negotiated(&[accept], expected);
        }
    }

    #[test]
    fn unknown_and_malformed_ranges_are_ignored() {
        for accept in [
            "application/json",
            "image/*",
            "text/plain;q=0",
            "text/plain;q=0, application/openmetrics-text;q=0",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=1.0.0;charset=latin-1",
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;q=",
            "application/openmetrics-text;version",
            "*",
            ";;;,,,=",
            "",
        ] {
            assert_negotiated(&[accept], Prometheus);
        }
        assert_negotiated(
            &[";, nothing, application/openmetrics-text;q=0.5, text/plain;q=x"],
            OpenMetrics,
        );
    }
}
