//! Runs the contract tests with `--isolation exec`.

mod contract;

fn suite() -> clarity_chaos_conformance::Suite {
    clarity_chaos_conformance::Suite::new(env!("CARGO_BIN_EXE_misbehaving"), "exec")
}
