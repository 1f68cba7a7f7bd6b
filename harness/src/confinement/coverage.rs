//! Whether this program counts what of it runs: `-C instrument-coverage`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

/// What the section of the counters is called, by [LLVM's
/// format](https://llvm.org/docs/InstrProfileFormat.html).
const COUNTERS: &[u8] = b"__llvm_prf_cnts";

/// Whether it does. Of what cannot be read it does not.
pub(super) fn is_counted() -> bool {
    static COUNTED: LazyLock<bool> = LazyLock::new(|| {
        let names = File::open("/proc/self/exe").and_then(|program| section_names(&program));
        names.is_ok_and(|names| names.split(|byte| *byte == 0).any(|name| name == COUNTERS))
    });
    *COUNTED
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
