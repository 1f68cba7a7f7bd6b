//! Where in the code a call is made, from the text of a backtrace.

/// The first frame of the backtrace that is neither the standard library's nor the harness's nor that of a dependency: `src/save.rs:12, in save::save`. The
/// frames of dependencies count if there are no others. None without symbols.
pub(crate) fn of(backtrace: &str) -> Option<String> {
    let mut lines = backtrace.lines().map(str::trim).peekable();
    let mut of_dependency = None;
    while let Some(line) = lines.next() {
        let Some((number, symbol)) = line.split_once(": ") else {
            continue;
        };
        if number.parse::<usize>().is_err() {
            continue;
        }
        let Some(place) = lines.next_if(|next| next.starts_with("at ")) else {
            continue;
        };
        let file = place.trim_start_matches("at ").trim_start_matches("./");
        // The column says nothing more.
        let file = file.rsplit_once(':').map_or(file, |(file, _)| file);
        let is_of_library =
            !file.contains(".rs:") || file.contains("/rustc/") || file.contains("/library/std/");
        if is_of_library || symbol.contains("clarity_chaos::explore") {
            continue;
        }
        let told = format!("{file}, in {symbol}");
        if !file.contains("/registry/src/") {
            return Some(told);
        }
        of_dependency.get_or_insert(told);
    }
    of_dependency
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKTRACE: &str = "\
   0: clarity_chaos::explore::child::answer_where::answer
             at ./src/explore/child.rs:10:20
   1: <unknown>
   2: __GI___rename
             at io/../sysdeps/rename.c:29:10
   3: std::fs::rename
             at /rustc/0123/library/std/src/fs.rs:2:3
   4: tempfile::file::persist
             at /home/someone/.cargo/registry/src/index-0123/tempfile-3.0.0/src/file.rs:5:6
   5: save::save
             at ./src/save.rs:12:5
   6: main
             at ./src/main.rs:1:1
";

    #[test]
    fn the_first_frame_of_the_code_itself_is_told() {
        assert_eq!(of(BACKTRACE).unwrap(), "src/save.rs:12, in save::save");
        let without = BACKTRACE.split("   5:").next().unwrap();
        assert!(
            of(without)
                .unwrap()
                .ends_with("tempfile-3.0.0/src/file.rs:5, in tempfile::file::persist")
        );
        assert_eq!(of("   0: <unknown>\n   1: <unknown>\n"), None);
    }
}
