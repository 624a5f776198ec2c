//! A lake on a local disk: its history, its files, and how a version becomes visible.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::lock::WriterLock;
use super::record::{FORMAT, Record};
use super::staging::{Staging, sync_file_system, sync_folder};
use crate::error::{Error, Result};
use crate::part::{FileEntry, file_path};
use crate::partition::Layout;
use crate::table::{SCHEMA_VERSION, TABLES};

/// The folder that is the lake's own.
const OWN: &str = "_taskloom";

/// A lake's folder.
#[derive(Clone, Debug)]
pub struct Lake {
    root: PathBuf,
}

/// The files of one version.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The version; 0 before the first commit.
    pub version: u64,
    /// Checksum of its record; empty before the first commit.
    pub checksum: String,
    /// The spool that was committed last, in this version or an earlier one.
    pub spool: Option<String>,
    /// How its tasks became partitions.
    pub layout: Layout,
    /// Its files by path.
    pub files: BTreeMap<String, FileEntry>,
}

/// What a recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Versions whose publishing was finished.
    pub published_versions: u64,
    /// Files that were moved into place by that.
    pub moved_files: u64,
    /// Abandoned runs whose staged files were removed.
    pub swept_runs: u64,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is this version, and visible.
    Committed(u64),
    /// Another run committed the version that it would have been; nothing of this one is visible.
    Conflict(u64),
}

/// What a run wants to commit.
#[derive(Debug)]
pub struct Change<'a> {
    /// The run.
    pub run: &'a str,
    /// The spool whose pages are in it.
    pub spool: Option<String>,
    /// How tasks became partitions.
    pub layout: Layout,
    /// Staged files.
    pub add: Vec<FileEntry>,
    /// Paths of the files that they replace.
    pub remove: Vec<String>,
}

impl Lake {
    /// The lake in a folder that is new, empty or a lake already. Makes the folder.
    pub fn create(root: &Path) -> Result<Lake> {
        Lake::check_place(root)?;
        let lake = Lake { root: root.to_owned() };
        for folder in ["commits", "staging", "rejects", "runs"] {
            let path = lake.own(folder);
            fs::create_dir_all(&path).map_err(Error::file("create", path))?;
        }
        Ok(lake)
    }

    /// An error unless a lake is here or can be made.
    pub fn check_place(root: &Path) -> Result<()> {
        Error::if_address(root)?;
        if root.is_file() {
            return Err(Error::NoFolder { path: root.to_owned() });
        }
        if !root.exists() || root.join(OWN).join("commits").is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(root).map_err(Error::file("list", root))? {
            let found = entry.map_err(Error::file("list", root))?.file_name();
            if found != OWN {
                let found = found.to_string_lossy().into_owned();
                return Err(Error::NotEmpty { path: root.to_owned(), found });
            }
        }
        Ok(())
    }

    /// The lake in a folder that must be one.
    pub fn open(root: &Path) -> Result<Lake> {
        Error::if_address(root)?;
        let lake = Lake { root: root.to_owned() };
        if lake.own("commits").is_dir() { Ok(lake) } else { Err(Error::NoLake { path: root.to_owned() }) }
    }

    /// The lake's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A place in the folder that is the lake's own.
    pub fn own(&self, name: &str) -> PathBuf {
        self.root.join(OWN).join(name)
    }

    /// Takes the place of the one run that may write to the lake.
    pub fn lock(&self) -> Result<WriterLock> {
        WriterLock::take(&self.own("lock"), &self.root)
    }

    /// Opens a staging folder for a run.
    pub fn stage(&self, run: &str) -> Result<Staging> {
        Staging::create(self.own("staging").join(run))
    }

    fn record_path(&self, version: u64) -> PathBuf {
        self.own("commits").join(format!("{version:020}.json"))
    }

    fn marker_path(&self, version: u64) -> PathBuf {
        self.own("commits").join(format!("{version:020}.published"))
    }

    /// Versions that have a record, in order.
    fn versions(&self) -> Result<BTreeSet<u64>> {
        let folder = self.own("commits");
        let entries = fs::read_dir(&folder).map_err(Error::file("list", &folder))?;
        let mut versions = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(Error::file("list", &folder))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json"));
            versions.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        Ok(versions)
    }

    fn record(&self, version: u64) -> Result<(Record, String)> {
        let path = self.record_path(version);
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        let (record, checksum) = Record::unseal(&bytes, &path)?;
        if record.version != version {
            return Err(Error::Record {
                path,
                reason: format!("expected version {version}, found {}", record.version),
            });
        }
        Ok((record, checksum))
    }

    /// The newest version that is wholly visible.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        for version in self.versions()? {
            if !self.marker_path(version).exists() {
                break;
            }
            let (record, checksum) = self.record(version)?;
            if record.parent != snapshot.checksum {
                let reason = format!("expected the parent {}, found {}", snapshot.checksum, record.parent);
                return Err(Error::Record { path: self.record_path(version), reason });
            }
            for path in &record.remove {
                snapshot.files.remove(path);
            }
            snapshot.files.extend(record.add.into_iter().map(|file| (file.path.clone(), file)));
            (snapshot.version, snapshot.checksum, snapshot.layout) = (version, checksum, record.layout);
            // A version that is no export leaves a spool that is committed as committed as it was.
            snapshot.spool = record.spool.or(snapshot.spool);
        }
        Ok(snapshot)
    }

    /// The newest version that is wholly visible, of a lake that must have one.
    pub fn readable_snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.snapshot()?;
        // A newer version that is being published may have moved files of this one away.
        let newest = self.versions()?.last().copied().unwrap_or(0);
        let is_readable = snapshot.version > 0 && snapshot.version == newest;
        if is_readable { Ok(snapshot) } else { Err(Error::NoVersion { path: self.root.clone() }) }
    }

    /// Commits what was staged on top of a snapshot, replacing the named files, and makes it visible.
    /// `last_word` is asked when all is on the disk: its error is the last that can prevent the commit.
    pub fn commit(
        &self,
        parent: &Snapshot,
        staging: &Staging,
        change: Change<'_>,
        last_word: impl FnOnce() -> Result<()>,
    ) -> Result<CommitOutcome> {
        let Change { run, spool, layout, add, remove } = change;
        staging.sync()?;
        crash_point("staged");
        last_word()?;
        let record = Record {
            format: FORMAT,
            version: parent.version + 1,
            parent: parent.checksum.clone(),
            run: run.to_owned(),
            spool,
            created_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            taskloom_version: env!("CARGO_PKG_VERSION").to_owned(),
            schema_version: SCHEMA_VERSION,
            layout,
            add,
            remove,
        };
        if !self.put_record(&record, staging)? {
            return Ok(CommitOutcome::Conflict(record.version));
        }
        crash_point("committed");
        self.publish(&record).map_err(|cause| Error::committed(record.version, cause))?;
        staging.release();
        Ok(CommitOutcome::Committed(record.version))
    }

    /// Puts a record under its version's name; false if there is one. A hard link does that in one step.
    fn put_record(&self, record: &Record, staging: &Staging) -> Result<bool> {
        let (bytes, _) = record.seal()?;
        let draft = staging.folder().join("record.json");
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        written.map_err(Error::file("write", &draft))?;
        let path = self.record_path(record.version);
        match fs::hard_link(&draft, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::file("write", &path)(error)),
            Ok(()) => {
                // From here on a record names the staged files: they stay until they are in place.
                staging.keep();
                sync_folder(&self.own("commits")).map_err(|cause| Error::committed(record.version, cause))?;
                Ok(true)
            }
        }
    }

    /// Moves the files of a record into place and the replaced ones away. Can be repeated at any point.
    fn publish(&self, record: &Record) -> Result<u64> {
        let staged = self.own("staging").join(&record.run);
        let rank = |table: &str| TABLES.iter().position(|known| known.name == table);
        let mut files = record.add.iter().collect::<Vec<_>>();
        // Children before parents: who sees a task sees all that belongs to it.
        files.sort_by_key(|file| std::cmp::Reverse(rank(&file.table)));
        let mut known_folders = HashSet::new();
        let mut moved = 0;
        for file in files {
            moved += u64::from(self.move_into_place(record.version, file, &staged, &mut known_folders)?);
            crash_point("publishing");
        }
        for path in &record.remove {
            crash_point("removing");
            let path = self.root.join(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("remove", path)(error)),
                _ => self.remove_empty_folders(&path),
            }
        }
        sync_file_system(&self.root)?;
        crash_point("published");
        let marker = self.marker_path(record.version);
        File::create(&marker).and_then(|file| file.sync_all()).map_err(Error::file("write", &marker))?;
        sync_folder(&self.own("commits"))?;
        Ok(moved)
    }

    fn move_into_place(
        &self,
        version: u64,
        file: &FileEntry,
        staged: &Path,
        known_folders: &mut HashSet<PathBuf>,
    ) -> Result<bool> {
        let path = self.root.join(&file.path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(Error::Missing { version, path });
        };
        if known_folders.insert(folder.to_owned()) {
            fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
        }
        match fs::rename(file_path(staged, &file.table, name), &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => match path.metadata() {
                Ok(metadata) if metadata.len() == file.bytes => Ok(false),
                _ => Err(Error::Missing { version, path }),
            },
            Err(error) => Err(Error::file("move into place", path)(error)),
        }
    }

    fn remove_empty_folders(&self, path: &Path) {
        let mut folder = path.parent();
        while let Some(empty) = folder.filter(|folder| *folder != self.root && fs::remove_dir(folder).is_ok()) {
            folder = empty.parent();
        }
    }

    /// Whether a record waits for the staged files of a run.
    fn is_awaited(&self, run: &str) -> Result<bool> {
        for version in self.versions()? {
            if !self.marker_path(version).exists() && self.record(version)?.0.run == run {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finishes what killed runs left: publishes versions that have a record and no marker, and sweeps staged files that no
    /// record names.
    pub fn recover(&self) -> Result<Recovered> {
        let mut recovered = Recovered::default();
        for version in self.versions()? {
            if !self.marker_path(version).exists() {
                let (record, _) = self.record(version)?;
                recovered.moved_files += self.publish(&record)?;
                recovered.published_versions += 1;
            }
        }
        let folder = self.own("staging");
        if !folder.is_dir() {
            return Ok(recovered);
        }
        for entry in fs::read_dir(&folder).map_err(Error::file("list", &folder))? {
            let path = entry.map_err(Error::file("list", &folder))?.path();
            let run = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            recovered.swept_runs += u64::from(path.is_dir() && Staging::sweep(&path, || self.is_awaited(&run))?);
        }
        Ok(recovered)
    }
}

/// Lets tests kill the process at a named point, as a power cut would: `TASKLOOM_CRASH_AT=committed`, or
/// `publishing:3` for the third time that the point is passed.
fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicU32, Ordering};
        static PASSED: AtomicU32 = AtomicU32::new(0);
        let Ok(wanted) = std::env::var("TASKLOOM_CRASH_AT") else {
            return;
        };
        let (point, times) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if point == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == times.parse().unwrap_or(1) {
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
