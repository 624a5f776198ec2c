//! Comparisons as a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::report::{Match, WinRates};
use crate::error::{Error, Result};

/// The matches as a Parquet file, a row each: `one`, `other`, `comparisons`, `won`, `tied`, `lost`, `win_rate` with its bounds `low` and
/// `high`, and the scores of both, null where they have none.
pub fn to_parquet(rates: &WinRates) -> Result<Vec<u8>> {
    let batch = batch(rates).map_err(|source| Error::Batch { table: "win rates", source })?;
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let failed = |source| Error::Parquet { action: "encode", path: "win rates".into(), source };
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    writer.into_inner().map_err(failed)
}

fn batch(rates: &WinRates) -> std::result::Result<RecordBatch, ArrowError> {
    let rows = &rates.matches;
    let texts = |of: fn(&Match) -> &str| Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>());
    let counts = |of: fn(&Match) -> u64| Arc::new(rows.iter().map(|row| Some(of(row))).collect::<UInt64Array>());
    let shares = |of: fn(&Match) -> f64| Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Float64Array>());
    let scores = |of: fn(&Match) -> &str| {
        let score = |row| rates.players.iter().find(|player| player.name == of(row))?.score;
        Arc::new(rows.iter().map(score).collect::<Float64Array>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("one", texts(|row| &row.one) as ArrayRef, false),
        ("other", texts(|row| &row.other), false),
        ("comparisons", counts(|row| row.comparisons), false),
        ("won", counts(|row| row.won), false),
        ("tied", counts(|row| row.tied), false),
        ("lost", counts(|row| row.lost), false),
        ("win_rate", shares(|row| row.win_rate), false),
        ("low", shares(|row| row.interval.low), false),
        ("high", shares(|row| row.interval.high), false),
        ("one_score", scores(|row| &row.one), true),
        ("other_score", scores(|row| &row.other), true),
    ])
}
