//! Wraps system calls for which no library has a safe function. Only this layer has `unsafe` code.
//!
//! This layer covers processes, signals, descriptors, resource limits, `/proc`, namespaces,
//! seccomp, the memory of traced threads, directories and the wall clock. No code in this
//! layer uses the layers above, such as `test` and `runner`.

#[cfg(target_os = "linux")]
pub(crate) mod accept_queue;
#[cfg(target_os = "linux")]
pub(crate) mod affinity;
pub(crate) mod atomic_file;
#[cfg(target_os = "linux")]
pub(crate) mod backtrace_signal;
pub(crate) mod change_detector;
#[cfg(target_os = "linux")]
pub(crate) mod compiler_instrumentation;
pub(crate) mod cpu_time;
pub(crate) mod descriptors;
pub(crate) mod directory;
pub(crate) mod directory_lock;
#[cfg(unix)]
pub(crate) mod directory_move;
#[cfg(target_os = "linux")]
pub(crate) mod environment;
pub(crate) mod epoll;
#[cfg(target_os = "linux")]
pub(crate) mod exit_handler;
pub(crate) mod file_hole;
#[cfg(target_os = "linux")]
pub(crate) mod fork;
#[cfg(target_os = "linux")]
pub(crate) mod handover;
#[cfg(unix)]
pub(crate) mod job_control;
#[cfg(target_os = "linux")]
pub(crate) mod mapped_pages;
#[cfg(target_os = "linux")]
pub(crate) mod memory_map;
#[cfg(target_os = "linux")]
pub(crate) mod namespaces;
pub(crate) mod open_file_id;
pub(crate) mod ownership;
#[cfg(target_os = "linux")]
pub(crate) mod proc_text;
#[cfg(target_os = "linux")]
pub(crate) mod processes;
pub(crate) mod rename;
pub(crate) mod resource_limit;
#[cfg(target_os = "linux")]
pub(crate) mod retirement;
#[cfg(target_os = "linux")]
pub(crate) mod seccomp;
#[cfg(target_os = "linux")]
pub(crate) mod session;
#[cfg(unix)]
pub(crate) mod signals;
#[cfg(target_os = "linux")]
pub(crate) mod sockets;
#[cfg(target_os = "linux")]
pub(crate) mod stopped_processes;
#[cfg(target_os = "linux")]
pub(crate) mod task_status;
pub(crate) mod temporary_directory;
#[cfg(unix)]
pub(crate) mod termination_signal;
pub(crate) mod timestamp_granularity;
#[cfg(all(test, target_os = "linux"))]
pub(crate) mod traced_process;
#[cfg(target_os = "linux")]
pub(crate) mod wait;
pub(crate) mod wall_clock;
pub(crate) mod write_failure;
