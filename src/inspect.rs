//! A look through a whole lake.

use rayon::prelude::*;

use crate::drift::{self, Drift};
use crate::error::{Error, Result};
use crate::file;
use crate::lake::{Lake, State};
use crate::part::PartEntry;
use crate::table::Table;

/// Reads of the lake's newest version the columns where something unknown can be, all files side by side.
pub fn drift_of(lake: &Lake) -> Result<Drift> {
    drift_of_state(lake, &lake.readable_state()?)
}

/// The same of one version.
pub fn drift_of_state(lake: &Lake, state: &State) -> Result<Drift> {
    let files = state.brought().flat_map(|part| part.files.keys().map(move |table| (part, table)));
    let files = files.filter(|(part, table)| part.rows(table) > 0).collect::<Vec<_>>();
    let drifts = files.into_par_iter().map(|(part, table)| of_file(lake, part, table)).collect::<Result<Vec<_>>>()?;
    let mut all = Drift::default();
    drifts.into_iter().for_each(|drift| all.merge(drift));
    Ok(all)
}

fn of_file(lake: &Lake, part: &PartEntry, table: &str) -> Result<Drift> {
    let mut drift = Drift::default();
    // A table of a newer schema has nothing that this catalog could judge.
    let Some(table) = Table::named(table) else { return Ok(drift) };
    let failed = |source| Error::Batch { table: table.name, source };
    for batch in file::open_columns(&**lake.store(), &part.path(table.name), &drift::columns(table))? {
        drift.observe_at(part.schema_version, table, &batch.map_err(failed)?);
    }
    Ok(drift)
}
