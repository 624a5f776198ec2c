//! A folder that is made beside its place and put there at once.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::address::check_path;
use super::{LocalStore, Store};
use crate::error::{Error, Result};

/// A folder on its way to its place.
pub(crate) struct Draft {
    /// What may stand in its place.
    rules: Rules<'static>,
    /// The whole path of its place.
    folder: PathBuf,
    draft: TempDir,
}

/// What may be replaced, and what must not be touched.
pub(crate) struct Rules<'r> {
    /// The flag that names the place.
    pub setting: &'static str,
    /// What such a folder is called.
    pub what: &'static str,
    /// The file that only such a folder has.
    pub mark: &'static str,
    /// Whether what is called so is part of such a folder: whatever else lies there is somebody's.
    pub is_ours: fn(&str) -> bool,
    /// The lake, where it is a folder.
    pub lake: Option<&'r Path>,
}

impl Rules<'_> {
    /// An error unless a place that is not the lake's is empty, or holds an earlier one. What else lies beside that is left where it is.
    pub(crate) fn check(&self, place: &dyn Store, lake: &Path) -> Result<()> {
        let own = place.place();
        if own.starts_with(lake) || lake.starts_with(own) {
            let (expected, found) = ("a place beside the lake".to_owned(), own.display().to_string());
            return Err(Error::Usage { setting: self.setting, expected, found });
        }
        self.check_for(place, |_| true)
    }

    /// The same of a place that is replaced whole: whatever lies there must be of an earlier one.
    fn check_whole(&self, place: &dyn Store) -> Result<()> {
        self.check_for(place, self.is_ours)
    }

    fn check_for(&self, place: &dyn Store, may_stay: impl Fn(&str) -> bool) -> Result<()> {
        let there = place.top()?;
        let is_marked = there.iter().any(|name| name == self.mark);
        match there.into_iter().find(|name| !is_marked || !may_stay(name)) {
            Some(found) => Err(Error::NotOurs { path: place.place().to_owned(), what: self.what, found }),
            None => Ok(()),
        }
    }

    /// The whole path of a folder that can be the place.
    fn place_for(&self, folder: &Path) -> Result<PathBuf> {
        check_path(folder)?;
        // Through links, so that what they point to is replaced, and not they.
        let whole = fs::canonicalize(folder).or_else(|_| std::path::absolute(folder));
        let folder = whole.map_err(Error::file("find", folder))?;
        check_outside(&folder, self.lake, self.setting)?;
        if folder.is_file() {
            return Err(Error::NoFolder { path: folder });
        }
        self.check_whole(&LocalStore::at(&folder))?;
        Ok(folder)
    }
}

/// An error if a place lies in a lake that is a folder.
pub(crate) fn check_outside(place: &Path, lake: Option<&Path>, setting: &'static str) -> Result<()> {
    let Some(lake) = lake.and_then(|lake| fs::canonicalize(lake).ok()) else { return Ok(()) };
    let place = std::path::absolute(place).map_err(Error::file("find", place))?;
    if place.ancestors().any(|above| fs::canonicalize(above).is_ok_and(|above| above == lake)) {
        let (expected, found) = ("a place outside of the lake".to_owned(), place.display().to_string());
        return Err(Error::Usage { setting, expected, found });
    }
    Ok(())
}

impl Draft {
    /// An empty folder beside the place.
    pub(crate) fn beside(folder: &Path, rules: &Rules<'_>) -> Result<Draft> {
        let folder = rules.place_for(folder)?;
        let parent = folder.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        let prefix = format!(".taskloom-{}-", rules.what.replace(' ', "-"));
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(&prefix).permissions(Permissions::from_mode(0o755));
        let draft = builder.tempdir_in(parent).map_err(Error::file("create", parent))?;
        let Rules { setting, what, mark, is_ours, .. } = *rules;
        Ok(Draft { rules: Rules { setting, what, mark, is_ours, lake: None }, folder, draft })
    }

    /// Where it is made.
    pub(crate) fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Its place, where an earlier one may stand.
    pub(crate) fn place(&self) -> &Path {
        &self.folder
    }

    /// Puts it in its place, and removes what stood there, unless something else came there meanwhile.
    pub(crate) fn put_in_place(self) -> Result<()> {
        let Draft { rules, folder, draft } = self;
        rules.check_whole(&LocalStore::at(&folder))?;
        File::open(draft.path()).and_then(|draft| draft.sync_all()).map_err(Error::file("sync", draft.path()))?;
        swap(draft.path(), &folder).map_err(Error::file("replace", &folder))?;
        // Where there was an earlier one, it stands in the draft's place now, and goes.
        let parent = folder.parent().unwrap_or(Path::new("/"));
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::file("sync", parent))
    }
}

/// Puts a new folder in the place of an old one, at once where the system can.
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if !old.exists() {
        return fs::rename(new, old);
    }
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(error) => match io::Error::from(error).kind() {
            // A file system that knows no such call.
            ErrorKind::InvalidInput | ErrorKind::Unsupported => {
                let aside = new.with_extension("old");
                fs::rename(old, &aside)?;
                if let Err(error) = fs::rename(new, old) {
                    fs::rename(&aside, old)?;
                    return Err(error);
                }
                // It goes with the draft's place; where that can't be, nothing is lost but its space.
                let _ = fs::rename(&aside, new);
                Ok(())
            }
            _ => Err(error.into()),
        },
    }
}
