use clarity_chaos::chaos;

/// An option that does not exist.
#[chaos(slow, timeot = "10s")]
fn unknown_option() {}

/// An option without its value.
#[chaos(timeout)]
fn no_value() {}

/// A number where a string is expected.
#[chaos(timeout = 10)]
fn no_string() {}

/// A tag twice.
#[chaos(slow, breaker, slow)]
fn duplicate_tag() {}

/// An option twice.
#[chaos(timeout = "1s", timeout = "2s")]
fn duplicate_option() {}

/// An operator of tag expressions, used as a tag.
#[chaos(not)]
fn reserved_word() {}

/// A tag in quotes.
#[chaos("slow")]
fn quoted_tag() {}

/// A limit of zero descriptors.
#[chaos(open_files = 0)]
fn zero_files() {}

/// A size without a unit.
#[chaos(memory = "512")]
fn no_unit() {}

/// A CPU time limit that is not a whole number of seconds.
#[chaos(cpu = "1500ms")]
fn no_whole_seconds() {}

/// A missing value.
#[chaos(timeout = , slow)]
fn nothing() {}

/// Two problems at once, both reported.
#[chaos(timeout = "soon", clock = "broken")]
async fn two_problems() {}

fn main() {}
