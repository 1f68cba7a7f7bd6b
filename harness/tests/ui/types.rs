use clarity_chaos::chaos;

/// A parameter that is not the context.
#[chaos]
fn another_argument(_number: u32) {}

/// A return type that is no `Result`.
#[chaos]
fn another_result() -> u32 {
    1
}

/// The same for an async function.
#[chaos]
async fn another_result_later() -> u32 {
    1
}

fn main() {}
