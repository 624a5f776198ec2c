//! A look through a whole lake.

use rayon::prelude::*;

use crate::commit::Lake;
use crate::drift::{self, Drift};
use crate::error::{Error, Result};
use crate::file;
use crate::part::FileEntry;
use crate::table::Table;

/// Reads of the lake's newest version the columns where something unknown can be, all files side by side.
pub fn drift_of(lake: &Lake) -> Result<Drift> {
    let snapshot = lake.readable_snapshot()?;
    let files = snapshot.files.values().filter(|file| file.rows > 0).collect::<Vec<_>>();
    let drifts = files.into_par_iter().map(|file| of_file(lake, file)).collect::<Result<Vec<_>>>()?;
    let mut all = Drift::default();
    drifts.into_iter().for_each(|drift| all.merge(drift));
    Ok(all)
}

fn of_file(lake: &Lake, entry: &FileEntry) -> Result<Drift> {
    let mut drift = Drift::default();
    // A table of a newer schema has nothing that this catalog could judge.
    let Some(table) = Table::named(&entry.table) else { return Ok(drift) };
    let path = lake.root().join(&entry.path);
    let failed = |source| Error::Batch { table: table.name, source };
    for batch in file::open_columns(&path, &drift::columns(table))? {
        drift.observe(table, &batch.map_err(failed)?);
    }
    Ok(drift)
}
