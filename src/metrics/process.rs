//! Resource usage of the process, collected at each scrape.
//!
//! The metrics have the names and meanings from the guidelines for Prometheus client libraries:
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Memory, descriptors and CPU time of this process, as far as the system reports them.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ProcessUsage {
            cpu_seconds,
            resident_bytes,
            virtual_bytes,
            open_descriptors,
            max_descriptors,
        } = usage();
        if let Some(seconds) = cpu_seconds {
            let help = "User and system CPU time of all threads in seconds.";
            let metric = encoder.encode_descriptor(
                "process_cpu_seconds",
                help,
                None,
                MetricType::Counter,
            )?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory in bytes.",
                resident_bytes,
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory in bytes.",
                virtual_bytes,
            ),
            (
                "process_open_fds",
                "Number of open file descriptors.",
                open_descriptors,
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors.",
                max_descriptors,
            ),
        ] {
            if let Some(value) = value {
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct ProcessUsage {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    open_descriptors: Option<u64>,
    max_descriptors: Option<u64>,
}

#[cfg(target_os = "linux")]
fn usage() -> ProcessUsage {
    use std::fs;

    use rustix::param::page_size;
    use rustix::process::{Resource, getrlimit};
    use rustix::time::{ClockId, clock_gettime};

    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    // The sizes are in pages: see proc_pid_statm(5).
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = pages.split_ascii_whitespace();
    let mut next = || {
        let pages: u64 = pages.next()?.parse().ok()?;
        pages.checked_mul(u64::try_from(page_size()).ok()?)
    };
    let (virtual_bytes, resident_bytes) = (next(), next());
    // Excludes the descriptor that is open only to list the directory.
    let listed = fs::read_dir("/proc/self/fd").map(|listing| listing.count().saturating_sub(1));
    ProcessUsage {
        cpu_seconds: Some(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9),
        resident_bytes,
        virtual_bytes,
        open_descriptors: listed.ok().and_then(|count| u64::try_from(count).ok()),
        max_descriptors: getrlimit(Resource::Nofile).current,
    }
}

#[cfg(not(target_os = "linux"))]
fn usage() -> ProcessUsage {
    ProcessUsage::default()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn process_usage_grows_with_files_and_memory() {
        let before = usage();
        let files: Vec<_> = (0..100)
            .map(|_| std::fs::File::open("/proc/self/statm").unwrap())
            .collect();
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = usage();
        // Concurrent tests can close files and free memory. So the test requires an increase of
        // only 50 descriptors, and of only half of the allocated memory.
        assert!(after.open_descriptors.unwrap() >= before.open_descriptors.unwrap() + 50);
        assert!(after.resident_bytes.unwrap() >= before.resident_bytes.unwrap() + (32 << 20));
        assert!(after.virtual_bytes.unwrap() >= after.resident_bytes.unwrap());
        assert!(after.max_descriptors.unwrap() >= after.open_descriptors.unwrap());
        assert!(after.cpu_seconds.unwrap() > before.cpu_seconds.unwrap());
        drop((files, memory));
    }
}
