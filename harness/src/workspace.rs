//! The runner's side of a slot's folder: makes the folder of each case in it, and makes it ready for the next.

use crate::appended::Appended;
use crate::case::{Case, CaseSpec, SlotDir};
use crate::evidence::Evidence;
use crate::output;
use crate::record::Output;
use crate::removal::{names_in, remove_folder};
use crate::timeline;
use crate::watched::Watched;
use std::fs::{self, File};
use std::io;

/// A slot's folder, which has one case after the other.
#[derive(Debug)]
pub(crate) struct Workspace {
    slot: SlotDir,
    output: Appended,
    timeline: Appended,
    tmp: Watched,
    /// The folders of the case that runs, or of the last one if that left nothing in them. Then the next one takes them over: to make and
    /// to remove folders costs more than all else around an empty test.
    folders: Option<Folders>,
}

#[derive(Debug)]
struct Folders {
    root: Watched,
    dir: Watched,
}

impl Workspace {
    /// The workspace in this folder, which was just made.
    pub(crate) fn open(slot: SlotDir) -> io::Result<Self> {
        Ok(Self {
            output: Appended::open(slot.output())?,
            timeline: Appended::open(slot.timeline())?,
            tmp: Watched::new(slot.tmp(), 0),
            slot,
            folders: None,
        })
    }

    /// Makes the folders of the next case.
    pub(crate) fn begin(&mut self, spec: CaseSpec) -> io::Result<Case> {
        self.output.begin_part()?;
        self.timeline.begin_part()?;
        let case = Case::new(&self.slot, spec);
        let (root, dir) = (case.root().to_owned(), case.dir());
        self.folders = Some(match self.folders.take() {
            Some(spare) if fs::rename(spare.root.path(), &root).is_ok() => Folders {
                root: spare.root.moved_to(root),
                dir: spare.dir.moved_to(dir),
            },
            _ => {
                fs::create_dir(&root)?;
                fs::create_dir(&dir)?;
                Folders {
                    root: Watched::new(root, 1),
                    dir: Watched::new(dir, 0),
                }
            }
        });
        Ok(case)
    }

    /// What the case prints, from its beginning.
    pub(crate) fn open_output(&self) -> io::Result<File> {
        self.output.open_part()
    }

    /// What the case, which has ended, left behind. Each on its own: of a case that went wrong, whatever can be read is evidence.
    pub(crate) fn evidence(&mut self) -> Evidence {
        Evidence {
            timeline: self.timeline.part().and_then(timeline::read),
            output: self.output.len().and_then(|length| match length {
                0 => Ok(Output::default()),
                length => output::read(self.output.part()?, length),
            }),
            left_in_tmp: self.left_in_tmp(),
        }
    }

    /// The names of what the case left among its temporary files; none if it did not touch their folder.
    fn left_in_tmp(&mut self) -> io::Result<Option<Vec<String>>> {
        if self.tmp.is_untouched() {
            return Ok(None);
        }
        let names = names_in(self.tmp.path())?;
        let told = names.iter().map(|name| name.display().to_string());
        Ok(Some(told.collect()))
    }

    /// Removes all that the case left, and makes the slot ready for the next; `tmp_touched` says whether it did something to the folder of
    /// its temporary files.
    pub(crate) fn remove(&mut self, case: &Case, tmp_touched: bool) -> io::Result<()> {
        let is_spare =
            |folders: &mut Folders| folders.root.is_untouched() && folders.dir.is_untouched();
        if !self.folders.as_mut().is_some_and(is_spare) {
            self.folders = None;
            remove_folder(case.root())?;
        }
        if tmp_touched {
            remove_folder(self.tmp.path())?;
            self.make_tmp()?;
        }
        Ok(())
    }

    /// Puts all that the case left into its folder. A supervisor's slot is then over: another test must not be able to change what was kept.
    pub(crate) fn keep(&mut self, case: &Case, tmp_touched: bool) -> io::Result<()> {
        self.folders = None;
        let root = case.root();
        let mut output = File::create(root.join("output"))?;
        io::copy(self.output.part()?, &mut output)?;
        let mut timeline = File::create(root.join("timeline.jsonl"))?;
        io::copy(self.timeline.part()?, &mut timeline)?;
        if tmp_touched {
            fs::rename(self.tmp.path(), root.join("tmp"))?;
            self.make_tmp()?;
        }
        Ok(())
    }

    fn make_tmp(&mut self) -> io::Result<()> {
        fs::create_dir(self.tmp.path())?;
        self.tmp = Watched::new(self.slot.tmp(), 0);
        Ok(())
    }
}
