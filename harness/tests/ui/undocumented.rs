use clarity_chaos::chaos;

#[chaos]
fn no_comment() {}

///
#[chaos(slow)]
fn empty_comment() {}

/**/
#[chaos]
fn empty_block_comment() {}

#[doc(alias = "documented")]
#[chaos]
fn alias_alone() {}

fn main() {}
