//! The command line.

use crate::file_system::FileSystem;

/// Cuts the power of real file systems, and compares the disks with the models
///
/// Draws random programs of 3 to 8 calls. Runs each program on a new, small file system, whose disk
/// logs all writes and flushes. Cuts the power after each write, at each flush and after each call:
/// mounts the disk of that moment, and reads the files. Each state must be one that the models of
/// `clarity-chaos-disk` have at that moment: `Journaled` always, and `Ext4Ordered` on ext4.
///
/// A call that has not returned can have all its effects, some, or none. Between calls, the kernel
/// sometimes writes bytes or commits journals of its own accord; the models promise their states
/// for this as well.
///
/// Needs root, FUSE, loop devices, and the mkfs program of each file system. Where one of them is
/// missing, prints `skipped:` with the reason. All disks are in memory.
#[derive(Debug, clap::Parser)]
#[command(
    name = "power_cuts",
    after_help = "Exit status: 0 if each state is one of the models, or all was skipped; 1 if a state is not; 2 \
                  if the tool failed or was interrupted.\n\nExamples:\n  power_cuts --file-system ext4 --programs 20\n  power_cuts \
                  --file-system btrfs --seed 17 --programs 1     # repeats the program of seed 17"
)]
pub(crate) struct Options {
    /// A file system to try; can be given several times [default: all three]
    #[arg(long = "file-system", value_name = "NAME")]
    pub(crate) file_systems: Vec<FileSystem>,

    /// The number of programs on each file system [default: 200 on ext4, 50 on the others]
    #[arg(long, value_name = "N")]
    pub(crate) programs: Option<usize>,

    /// The seed of the first program; each further program has the next seed
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,

    /// The number of draws, at each flush and after each call, in which a volatile cache has lost
    /// some of the unflushed writes
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) lost: usize,

    /// The sector size of the models, in bytes; with 4096, they have fewer states
    #[arg(long, default_value_t = 512, value_parser = sector_size, value_name = "BYTES")]
    pub(crate) sector_size: usize,

    /// Fail where a file system would be skipped
    #[arg(long)]
    pub(crate) require: bool,
}

fn sector_size(text: &str) -> Result<usize, String> {
    let size = text.parse().map_err(|_| "expected a number".to_owned())?;
    if size >= 512 && 4096_usize.is_multiple_of(size) {
        return Ok(size);
    }
    Err("expected 512, 1024, 2048 or 4096".to_owned())
}
