//! Models that verify completely, but would crash or block the process that loads them.

macro_rules! hostile {
    ($(#[doc = $doc:literal] $name:ident = $file:literal),+ $(,)?) => {
        $(
            #[doc = $doc]
            pub const $name: &[u8] = include_bytes!(concat!("../../data/hostile/", $file, ".onnx"));
        )+
    };
}

hostile! {
    /// Requests eight gigabytes of memory when it is run.
    MEMORY_AT_INFERENCE = "memory_at_inference",
    /// Requests eight gigabytes of memory when it is loaded.
    MEMORY_AT_LOAD = "memory_at_load",
    /// Has a size that overflows when it is loaded.
    OVERFLOW_AT_LOAD = "overflow_at_load",
    /// Is nested too deep for any stack.
    STACK_AT_LOAD = "stack_at_load",
    /// Computes endlessly when it is run.
    TIME_AT_INFERENCE = "time_at_inference",
    /// Computes endlessly when it is loaded.
    TIME_AT_LOAD = "time_at_load",
}
