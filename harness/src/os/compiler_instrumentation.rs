//! Instrumentation that the compiler added to this program: coverage counters and sanitizers.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

/// The name of the section with the counters of `-C instrument-coverage` ([LLVM's
/// format](https://llvm.org/docs/InstrProfileFormat.html)).
const COVERAGE_COUNTERS: &[u8] = b"__llvm_prf_cnts";

/// The name of the section that lists the functions that run before all others (`DT_PREINIT_ARRAY`
/// in [elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)).
// In a Rust program, only a sanitizer's runtime library adds this section. So the section reveals a
// sanitizer.
const EARLY_INIT: &[u8] = b".preinit_array";

/// Whether the compiler added coverage counters to this program.
pub(crate) fn counts_coverage() -> bool {
    has_section(COVERAGE_COUNTERS)
}

/// Whether the instrumentation acts when this program exits. It may write coverage data, or report
/// a sanitizer's findings.
pub(crate) fn acts_at_exit() -> bool {
    counts_coverage() || has_section(EARLY_INIT)
}

/// Whether this program's executable has a section called `name`. False if the executable cannot be
/// read.
fn has_section(name: &[u8]) -> bool {
    static NAMES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let names = File::open("/proc/self/exe").and_then(|program| section_names(&program));
        names.unwrap_or_default()
    });
    NAMES.split(|byte| *byte == 0).any(|other| other == name)
}

/// Reads the section names of `program`, a 64-bit ELF file in this machine's byte order (elf(5)). A
/// zero byte ends each returned name.
fn section_names(program: &File) -> io::Result<Vec<u8>> {
    // Offsets of fields in the header of the file.
    const SECTION_TABLE: u64 = 0x28;
    const SECTION_HEADER_SIZE: u64 = 0x3a;
    const NAMES_SECTION_INDEX: u64 = 0x3e;
    // Offsets of fields in the header of a section.
    const OFFSET: u64 = 0x18;
    const SIZE: u64 = 0x20;
    const MAX_SIZE: u64 = 1 << 20;
    let short = |at| {
        let mut bytes = [0; 2];
        program.read_exact_at(&mut bytes, at)?;
        io::Result::Ok(u64::from(u16::from_ne_bytes(bytes)))
    };
    let long = |at| {
        let mut bytes = [0; 8];
        program.read_exact_at(&mut bytes, at)?;
        io::Result::Ok(u64::from_ne_bytes(bytes))
    };
    let names = short(SECTION_HEADER_SIZE)? * short(NAMES_SECTION_INDEX)?;
    let names = long(SECTION_TABLE)?.saturating_add(names);
    let (from, size) = (long(names + OFFSET)?, long(names + SIZE)?);
    let mut bytes = vec![0; usize::try_from(size.min(MAX_SIZE)).unwrap_or(0)];
    program.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_names_of_this_program_include_text() {
        let program = File::open("/proc/self/exe").unwrap();
        let names = section_names(&program).unwrap();
        assert!(names.split(|byte| *byte == 0).any(|name| name == b".text"));
        assert!(section_names(&File::open("/dev/null").unwrap()).is_err());
    }
}
