//! From a record to what readers go by: the logs of the tables.

use super::record::Record;
use super::{Lake, delta, snapshot};
use crate::error::Result;
use crate::store::{Put, read_each};
use crate::table::catalog::tasks;
use crate::table::{Table, lake_tables};

impl Lake {
    /// Publishes every version up to this one that is not, in their order: whoever made one may have died since. Gives how many.
    pub(super) fn publish_up_to(&self, newest: u64) -> Result<u64> {
        let mut published = 0;
        for version in self.published()? + 1..=newest {
            self.publish(version)?;
            published += 1;
        }
        Ok(published)
    }

    /// Writes the logs of a version: children before parents and `tasks` last, so that a version that `tasks` has is there in every
    /// table. What is there already is left, or mended.
    fn publish(&self, version: u64) -> Result<()> {
        // Read anew: whoever was paused for long must not write what stood there once.
        let (record, _) = self.record(version)?;
        if record.is_erased() {
            return Ok(());
        }
        let mut logs = Vec::new();
        for table in lake_tables().rev() {
            logs.extend(logs_of(table, &record)?);
        }
        // That of `tasks` comes last: it stands when all others do.
        let last = logs.split_off(logs.len().saturating_sub(1));
        let paths = logs.iter().chain(&last).map(|(path, _)| path.clone()).collect::<Vec<_>>();
        self.put_logs(&record, logs)?;
        self.put_logs(&record, last)?;
        if snapshot::is_due(version) || record.begins.is_some() {
            self.write_snapshot(version)?;
        }
        if self.was_erased(version, &record.run)? {
            // While this was written: it tells what is to be told no more.
            self.store().delete_each(&paths)?;
        }
        Ok(())
    }

    /// Puts logs that are not there; gives how many of those that are there had to be mended.
    fn put_logs(&self, record: &Record, logs: Vec<(String, Vec<u8>)>) -> Result<u64> {
        let mut mended = 0;
        for (put, (path, bytes)) in self.store().put_each_if_absent(&logs)?.into_iter().zip(&logs) {
            let cause = match put {
                Put::Done => continue,
                Put::Exists => None,
                Put::Unknown(cause) => Some(cause),
            };
            match (self.store().get(path)?, cause) {
                (Some(found), _) if is_same(&found, bytes, record) => {}
                (None, Some(cause)) => return Err(cause),
                _ => {
                    self.store().replace(path, bytes)?;
                    mended += 1;
                }
            }
        }
        Ok(mended)
    }

    /// Writes the logs that a killed run left out; gives how many versions had some missing.
    pub(super) fn finish(&self) -> Result<u64> {
        let newest = self.newest_version()?;
        let finished = self.publish_up_to(newest)?;
        if newest > 0 {
            self.add_tables(newest)?;
        }
        self.finish_snapshot()?;
        Ok(finished)
    }

    /// The newest version of which `tasks` has a log; 0 where none has.
    pub(super) fn published(&self) -> Result<u64> {
        let paths = self.store().paths(&format!("{}/_delta_log", tasks::TABLE.name))?;
        let version = |path: &str| path.rsplit('/').next()?.strip_suffix(".json")?.parse::<u64>().ok();
        Ok(paths.iter().filter_map(|path| version(path)).max().unwrap_or(0))
    }

    /// Gives tables that an older release did not know the versions that they were not in.
    fn add_tables(&self, published: u64) -> Result<()> {
        let store = &**self.store();
        let is_new = |table: &&'static Table| -> Result<_> {
            let is_new = store.open(&delta::log_path(table, published))?.is_none();
            Ok(is_new.then_some(*table))
        };
        let new =
            read_each(store, &lake_tables().collect::<Vec<_>>(), is_new)?.into_iter().flatten().collect::<Vec<_>>();
        if new.is_empty() {
            return Ok(());
        }
        let from = snapshot::kept_from(&self.state()?);
        for table in &new {
            self.begin_logs(table, from)?;
        }
        for version in from.max(1)..=published {
            let (record, _) = self.record(version)?;
            for table in &new {
                self.put_logs(&record, logs_of(table, &record)?)?;
            }
        }
        Ok(())
    }

    /// Looks at every log, and mends what is torn, differs or is missing; gives how many.
    pub(super) fn mend_logs(&self) -> Result<u64> {
        let mut mended = 0;
        let from = snapshot::kept_from(&self.state()?);
        for version in self.versions_behind(from.saturating_sub(1))? {
            let (record, _) = self.record(version)?;
            for table in lake_tables().rev() {
                mended += self.put_logs(&record, logs_of(table, &record)?)?;
            }
        }
        Ok(mended)
    }
}

/// What a record makes of the log of a table; the first one begins it too.
pub(super) fn logs_of(table: &Table, record: &Record) -> Result<Vec<(String, Vec<u8>)>> {
    let mut logs = Vec::new();
    if record.version == 1 {
        logs.push((delta::log_path(table, 0), delta::beginning(table, record)?));
    }
    logs.push((delta::log_path(table, record.version), delta::log(table, record)?));
    Ok(logs)
}

/// Whether a log says what its record says: byte by byte where this release writes it so; another release may have put it otherwise.
pub(super) fn is_same(found: &[u8], expected: &[u8], record: &Record) -> bool {
    found == expected
        || record.renderer != delta::RENDERER && actions(found).is_some_and(|own| Some(own) == actions(expected))
}

/// The actions of a log, but for who wrote it.
fn actions(log: &[u8]) -> Option<Vec<serde_json::Value>> {
    let actions = serde_json::Deserializer::from_slice(log).into_iter::<serde_json::Value>();
    let actions = actions.collect::<Result<Vec<_>, _>>().ok()?;
    Some(actions.into_iter().filter(|action| action.get("commitInfo").is_none()).collect())
}
