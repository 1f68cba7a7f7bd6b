//! What a compiler has added to this program, as far as tests notice it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

/// What the section of the counters of `-C instrument-coverage` is called, by [LLVM's
/// format](https://llvm.org/docs/InstrProfileFormat.html).
const COUNTERS: &[u8] = b"__llvm_prf_cnts";

/// Where the sanitizers' runtimes stand to be called before all others ([elf(5)](https://man7.org/linux/man-pages/man5/elf.5.html)'s
/// `DT_PREINIT_ARRAY`); nothing else in a Rust program is.
const BEFORE_ALL: &[u8] = b".preinit_array";

/// Whether it counts what of it runs.
pub(crate) fn counts_coverage() -> bool {
    has_section(COUNTERS)
}

/// Whether it does something when it exits that was settled before `main`: writes its counters, or tells which errors a sanitizer has found.
pub(crate) fn acts_at_exit() -> bool {
    counts_coverage() || has_section(BEFORE_ALL)
}

/// Whether the file of this program has a section of this name. One that cannot be read has none.
fn has_section(name: &[u8]) -> bool {
    static NAMES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let names = File::open("/proc/self/exe").and_then(|program| section_names(&program));
        names.unwrap_or_default()
    });
    NAMES.split(|byte| *byte == 0).any(|other| other == name)
}

/// The names of the sections of an ELF file of 64 bits in this machine's byte order, each ended by a zero (elf(5)).
fn section_names(program: &File) -> io::Result<Vec<u8>> {
    const SECTIONS_AT: u64 = 0x28;
    const SECTION_SIZE_AT: u64 = 0x3a;
    const SECTION_OF_NAMES_AT: u64 = 0x3e;
    // In the header of a section:
    const FROM: u64 = 0x18;
    const SIZE: u64 = 0x20;
    const MOST: u64 = 1 << 20;
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
    let names = short(SECTION_SIZE_AT)? * short(SECTION_OF_NAMES_AT)?;
    let names = long(SECTIONS_AT)?.saturating_add(names);
    let (from, size) = (long(names + FROM)?, long(names + SIZE)?);
    let mut bytes = vec![0; usize::try_from(size.min(MOST)).unwrap_or(0)];
    program.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_of_this_program_have_names() {
        let program = File::open("/proc/self/exe").unwrap();
        let names = section_names(&program).unwrap();
        assert!(names.split(|byte| *byte == 0).any(|name| name == b".text"));
        assert!(section_names(&File::open("/dev/null").unwrap()).is_err());
    }
}
