//! The runner's side of a slot's folder: makes the folder of each case in it, and makes it ready for the next.

use crate::data::case::{Case, CaseSpec, SlotDir};
use crate::os::append_log::Appended;
use crate::os::removal::{make_folder, names_in, remove};
use crate::os::timestamps::Timestamps;
use crate::os::watched::Watched;
use crate::runner::evidence::Evidence;
use crate::runner::output;
use clarity_chaos_record::{CapturedOutput, read_timeline};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// A slot's folder, which has one case after the other.
#[derive(Debug)]
pub(crate) struct Workspace {
    slot: SlotDir,
    output: Appended,
    timeline: Appended,
    times: Timestamps,
    /// The folder of all of these, which holds that of temporary files and that of the case.
    work: Watched,
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
        let times = Timestamps::of(&slot.tmp())?;
        Ok(Self {
            output: Appended::open(slot.output())?,
            timeline: Appended::open(slot.timeline())?,
            work: Watched::new(slot.work(), 2, times),
            tmp: Watched::new(slot.tmp(), 0, times),
            times,
            slot,
            folders: None,
        })
    }

    /// Makes the folders of the next case.
    pub(crate) fn begin(&mut self, spec: CaseSpec) -> io::Result<Case> {
        self.output.begin_part()?;
        self.timeline.begin_part()?;
        let case = Case::new(&self.slot, spec);
        let (root, dir, times) = (case.root().to_owned(), case.dir(), self.times);
        self.folders = Some(match self.folders.take() {
            Some(spare) if fs::rename(spare.root.path(), &root).is_ok() => Folders {
                // Moving it has changed it.
                root: Watched::new(root, 1, times),
                dir: spare.dir.moved_to(dir),
            },
            _ => {
                fs::create_dir(&root)?;
                fs::create_dir(&dir)?;
                Folders {
                    root: Watched::new(root, 1, times),
                    dir: Watched::new(dir, 0, times),
                }
            }
        });
        self.work.expect_change();
        Ok(case)
    }

    /// What the case prints, from its beginning.
    pub(crate) fn open_output(&self) -> io::Result<File> {
        self.output.open_part()
    }

    /// What the case, which has ended, left behind. Each on its own: of a case that went wrong, whatever can be read is evidence.
    pub(crate) fn evidence(&mut self, case: &Case) -> Evidence {
        Evidence {
            timeline: self.timeline.part().and_then(read_timeline),
            output: self.output.len().and_then(|length| match length {
                0 => Ok(CapturedOutput::default()),
                length => output::read(self.output.part()?, length),
            }),
            left_beside: self.left_beside(case),
        }
    }

    /// What the case left beside its own folder: temporary files, and whatever else it may write to; none if it touched nothing there.
    fn left_beside(&mut self, case: &Case) -> io::Result<Option<Vec<String>>> {
        if self.work.is_proven_untouched() && self.tmp.is_untouched() {
            return Ok(None);
        }
        let work = self.slot.work();
        let (own, tmp) = (case.root(), self.slot.tmp());
        let strays: Vec<PathBuf> = names_in(&work)?
            .into_iter()
            .map(|name| work.join(name))
            .filter(|path| path != own && *path != tmp)
            .collect();
        if strays.is_empty() && self.work.has_its_rights() && self.tmp.is_untouched() {
            return Ok(None);
        }
        let mut left: Vec<String> = strays
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        match names_in(&tmp) {
            Ok(names) => {
                left.extend(names.iter().map(|name| format!("tmp/{}", name.display())));
            }
            Err(error) => left.push(format!("tmp: {error}")),
        }
        Ok(Some(left))
    }

    /// Removes all that the case left, and makes the slot ready for the next; `touched` says whether it did something beside its own folder.
    pub(crate) fn remove(&mut self, case: &Case, touched: bool) -> io::Result<()> {
        let is_spare =
            |folders: &mut Folders| folders.root.is_untouched() && folders.dir.is_untouched();
        if touched || !self.folders.as_mut().is_some_and(is_spare) {
            self.folders = None;
            remove(case.root())?;
        }
        if touched {
            let work = self.slot.work();
            for name in names_in(&work)? {
                remove(&work.join(name))?;
            }
            self.work.restore_rights()?;
            self.make_tmp()?;
        }
        Ok(())
    }

    /// Puts all that the case left into its folder. A supervisor's slot is then over: another test must not be able to change what was kept.
    ///
    /// What the test put in the places of these files is overwritten, and never followed: it may lead out of what the test may write to.
    pub(crate) fn keep(&mut self, case: &Case, touched: bool) -> io::Result<()> {
        self.folders = None;
        let root = case.root();
        make_folder(root)?;
        let put = |name: &str| {
            let path = root.join(name);
            remove(&path)?;
            File::create_new(path)
        };
        io::copy(self.output.part()?, &mut put("output")?)?;
        io::copy(self.timeline.part()?, &mut put("timeline.jsonl")?)?;
        if touched {
            let kept = root.join("tmp");
            remove(&kept)?;
            fs::rename(self.tmp.path(), kept)?;
            self.make_tmp()?;
        }
        Ok(())
    }

    fn make_tmp(&mut self) -> io::Result<()> {
        fs::create_dir(self.tmp.path())?;
        self.tmp = Watched::new(self.slot.tmp(), 0, self.times);
        Ok(())
    }
}
