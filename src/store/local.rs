//! A folder on a local disk.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Blob, Hold, Listed, Put, ReadAt, Store};
use crate::error::{Error, Result};

/// Files below a folder, which is made with the first of them. Folders come with their files and go with them.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: PathBuf,
}

/// Where files are written that take their name only when they are whole. A hidden name: readers of folders pass it by.
const DRAFTS: &str = "_taskloom/drafts";
/// A folder may be removed with its last file between being made and being written to, but hardly so often.
const ATTEMPTS: usize = 16;
/// What only the owner may see.
const PRIVATE: u32 = 0o600;
/// What the owner writes and everybody may read.
const PUBLIC: u32 = 0o644;

impl LocalStore {
    /// The files below this folder.
    pub fn at(root: impl Into<PathBuf>) -> LocalStore {
        LocalStore { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Does something that needs the folder of a path, making the folder if it is not there.
    fn in_folder<T>(&self, path: &Path, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 1..ATTEMPTS {
            match act() {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                }
                other => return other,
            }
        }
        act()
    }

    /// Gives a file of the same file system one more name; false where that can't be.
    pub fn link_from(&self, file: &Path, path: &str) -> Result<bool> {
        let path = self.path(path);
        match self.in_folder(&path, || fs::hard_link(file, &path)) {
            Ok(()) => Ok(true),
            // Its folder is there: so it is the file that is not.
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NoFile { path: file.to_owned() }),
            Err(_) => Ok(false),
        }
    }

    /// A whole file without its name.
    fn draft(&self, mode: u32, from: &mut dyn Read) -> io::Result<NamedTempFile> {
        let folder = self.path(DRAFTS);
        let mut builder = tempfile::Builder::new();
        builder.permissions(Permissions::from_mode(mode));
        let mut draft = self.in_folder(&folder.join("draft"), || builder.tempfile_in(&folder))?;
        io::copy(from, draft.as_file_mut())?;
        Ok(draft)
    }

    /// Gives a draft the name that no other file has; false where one has it.
    fn link(&self, draft: &NamedTempFile, path: &Path) -> io::Result<bool> {
        match self.in_folder(path, || fs::hard_link(draft.path(), path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn put_lasting(&self, path: &str, mode: u32, from: &mut dyn Read) -> Result<()> {
        let path = self.path(path);
        let mut put = || -> io::Result<()> {
            let draft = self.draft(mode, from)?;
            draft.as_file().sync_all()?;
            self.in_folder(&path, || fs::rename(draft.path(), &path))?;
            self.sync_names(&path)
        };
        put().map_err(Error::file("write", &path))
    }

    /// Brings the name of a file onto the disk, and the names of the folders that it lies in.
    fn sync_names(&self, path: &Path) -> io::Result<()> {
        let mut folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
        folders.try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Removes the folders that a file left empty.
    fn remove_empty_folders(&self, path: &Path) {
        let mut folder = path.parent();
        while let Some(empty) = folder.filter(|folder| *folder != self.root && fs::remove_dir(folder).is_ok()) {
            folder = empty.parent();
        }
    }
}

impl Store for LocalStore {
    fn place(&self) -> &Path {
        &self.root
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(path);
        let file = self.in_folder(&path, || File::create(&path));
        file.and_then(|mut file| file.write_all(bytes)).map_err(Error::file("write", &path))
    }

    fn replace(&self, path: &str, mut bytes: &[u8]) -> Result<()> {
        self.put_lasting(path, PUBLIC, &mut bytes)
    }

    fn put_private(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        self.put_lasting(path, PRIVATE, from)
    }

    fn put_named(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        let path = self.path(path);
        let mut put =
            || self.draft(PUBLIC, from).and_then(|draft| self.in_folder(&path, || fs::rename(draft.path(), &path)));
        put().map_err(Error::file("write", &path))
    }

    fn put_if_absent(&self, path: &str, mut bytes: &[u8]) -> Result<Put> {
        let path = self.path(path);
        let failed = || Error::file("write", &path);
        let draft = self.draft(PUBLIC, &mut bytes).map_err(failed())?;
        draft.as_file().sync_all().map_err(failed())?;
        match self.link(&draft, &path) {
            Ok(true) => {}
            Ok(false) => return Ok(Put::Exists),
            // On a file system across a network the answer may be lost and the name be given.
            Err(error) => return Ok(Put::Unknown(failed()(error))),
        }
        Ok(self.sync_names(&path).map_or_else(|error| Put::Unknown(failed()(error)), |()| Put::Done))
    }

    /// Two calls for all of them bring them onto the disk, instead of two a file.
    fn put_each_if_absent(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<Put>> {
        let mut drafts = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            let path = self.path(path);
            let draft = self.draft(PUBLIC, &mut bytes.as_slice()).map_err(Error::file("write", &path))?;
            drafts.push((draft, path));
        }
        self.flush()?;
        let link = |(draft, path): &(NamedTempFile, PathBuf)| match self.link(draft, path) {
            Ok(is_new) => {
                if is_new {
                    Put::Done
                } else {
                    Put::Exists
                }
            }
            Err(error) => Put::Unknown(Error::file("write", path)(error)),
        };
        let put = drafts.iter().map(link).collect();
        self.flush()?;
        Ok(put)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(path);
        or_absent(fs::read(&path)).map_err(Error::file("read", &path))
    }

    fn open(&self, path: &str) -> Result<Option<Blob>> {
        let path = self.path(path);
        let opened = File::open(&path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok(Blob::new(file, bytes))
        });
        or_absent(opened).map_err(Error::file("open", &path))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let listed = |entry: &walkdir::DirEntry| {
            let metadata = entry.metadata()?;
            Ok(Listed { path: self.path_of(entry), bytes: metadata.len(), modified: metadata.modified()? })
        };
        let mut listed = self.walk(folder, listed)?;
        listed.sort_unstable_by(|one: &Listed, other| one.path.cmp(&other.path));
        Ok(listed)
    }

    fn paths(&self, folder: &str) -> Result<Vec<String>> {
        let mut paths = self.walk(folder, |entry| Ok(self.path_of(entry)))?;
        paths.sort_unstable();
        Ok(paths)
    }

    fn paths_behind(&self, folder: &str, path: &str) -> Result<Vec<String>> {
        // Of a folder with years of names, only those that are wanted are kept.
        let behind = |entry: &walkdir::DirEntry| Ok(Some(self.path_of(entry)).filter(|other| other.as_str() > path));
        let mut paths = self.walk(folder, behind)?.into_iter().flatten().collect::<Vec<_>>();
        paths.sort_unstable();
        Ok(paths)
    }

    fn top(&self) -> Result<Vec<String>> {
        let failed = || Error::file("list", &self.root);
        let Some(entries) = or_absent(fs::read_dir(&self.root)).map_err(failed())? else { return Ok(Vec::new()) };
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect::<io::Result<_>>().map_err(failed())
    }

    fn delete(&self, path: &str) -> Result<()> {
        let path = self.path(path);
        or_absent(fs::remove_file(&path)).map_err(Error::file("remove", &path))?;
        self.remove_empty_folders(&path);
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn flush(&self) -> Result<()> {
        let Some(root) = or_absent(File::open(&self.root)).map_err(Error::file("open", &self.root))? else {
            return Ok(());
        };
        rustix::fs::syncfs(&root).map_err(|error| Error::file("sync", &self.root)(error.into()))
    }

    /// File by file, where no call brings a whole file system onto the disk.
    #[cfg(not(target_os = "linux"))]
    fn flush(&self) -> Result<()> {
        for entry in walkdir::WalkDir::new(&self.root) {
            let synced = entry.map_err(io::Error::from).and_then(|entry| File::open(entry.path())?.sync_all());
            or_absent(synced).map_err(Error::file("sync", &self.root))?;
        }
        Ok(())
    }

    fn hold(&self, path: &str, mut bytes: &[u8]) -> Result<Hold> {
        let path = self.path(path);
        let mut hold = || -> io::Result<File> {
            // Locked while it has no name: who finds it by its name finds it locked.
            let draft = self.draft(PUBLIC, &mut bytes)?;
            draft.as_file().lock()?;
            draft.as_file().sync_all()?;
            if !self.link(&draft, &path)? {
                return Err(ErrorKind::AlreadyExists.into());
            }
            self.sync_names(&path)?;
            Ok(draft.into_file())
        };
        hold().map(|file| Hold(Box::new(file))).map_err(Error::file("write", &path))
    }

    fn take_hold(&self, path: &str) -> Result<Option<Hold>> {
        let path = self.path(path);
        let Some(file) = or_absent(File::open(&path)).map_err(Error::file("open", &path))? else { return Ok(None) };
        match file.try_lock() {
            Ok(()) => Ok(Some(Hold(Box::new(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", path)(error)),
        }
    }
}

impl LocalStore {
    /// What is told of each file in a folder and in the folders below it.
    fn walk<T>(&self, folder: &str, tell: impl Fn(&walkdir::DirEntry) -> io::Result<T>) -> Result<Vec<T>> {
        let mut told = Vec::new();
        for entry in walkdir::WalkDir::new(self.path(folder)) {
            let file =
                entry.map_err(io::Error::from).map(|entry| Some(entry).filter(|entry| !entry.file_type().is_dir()));
            match file.and_then(|file| file.as_ref().map(&tell).transpose()) {
                Ok(found) => told.extend(found),
                // Gone while the folder was read, or not there at all.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::file("list", self.path(folder))(error)),
            }
        }
        Ok(told)
    }

    fn path_of(&self, entry: &walkdir::DirEntry) -> String {
        entry.path().strip_prefix(&self.root).unwrap_or(entry.path()).to_string_lossy().into_owned()
    }
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

fn or_absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
