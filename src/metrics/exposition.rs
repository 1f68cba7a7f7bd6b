//! Converts OpenMetrics text to Prometheus text.

/// Converts OpenMetrics text 1.0.0 to Prometheus text 0.0.4. Drops units and the end marker.
///
/// In OpenMetrics, the counter family `x` has samples named `x_total`. In Prometheus text, a family
/// must have the name of its samples. So this function renames the family to `x_total`. With the
/// name `x`, the samples would have no type and no help.
pub(super) fn to_prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let counter = family.strip_suffix(" counter");
            if let Some((name, help)) = help
                .take()
                .and_then(|line| line["# HELP ".len()..].split_once(' '))
            {
                let name = if counter.is_some() {
                    format!("{name}_total")
                } else {
                    name.to_owned()
                };
                text.push_str(&format!("# HELP {name} {help}\n"));
            }
            match counter {
                Some(name) => text.push_str(&format!("# TYPE {name}_total counter\n")),
                None => text.push_str(&format!("{line}\n")),
            }
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition_renames_counters_only() {
        let openmetrics = "# HELP a Counts things.\n# TYPE a counter\na_total{m=\"x y\"} 1\n\
                           # HELP b Says.\n# TYPE b gauge\n# UNIT b seconds\nb 2\n# EOF\n";
        let expected = "# HELP a_total Counts things.\n# TYPE a_total counter\na_total{m=\"x y\"} 1\n\
                        # HELP b Says.\n# TYPE b gauge\nb 2\n";
        assert_eq!(to_prometheus(openmetrics), expected);
    }
}
