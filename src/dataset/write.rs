//! The files of a training set, on this machine's disk until they are whole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::encode::Encoded;
use crate::error::{Error, Result};

/// Bytes of a Parquet file behind which another one begins.
const FILE_BYTES: usize = 256 << 20;

/// Bytes of a row group.
const GROUP_BYTES: usize = 32 << 20;

const BUFFER_BYTES: usize = 1 << 20;

/// The files of one split.
pub(super) struct Split<'s> {
    folder: &'s Path,
    /// What its files are called by.
    name: &'static str,
    schema: SchemaRef,
    /// Files that are whole.
    files: Vec<String>,
    parquet: Option<ArrowWriter<File>>,
    lines: BTreeMap<String, BufWriter<File>>,
    bytes: u64,
}

impl<'s> Split<'s> {
    pub(super) fn new(folder: &'s Path, name: &'static str, schema: SchemaRef) -> Split<'s> {
        Split { folder, name, schema, files: Vec::new(), parquet: None, lines: BTreeMap::new(), bytes: 0 }
    }

    pub(super) fn write(&mut self, rows: &Encoded) -> Result<()> {
        match rows {
            Encoded::Batches(batches) => {
                batches.iter().filter(|batch| batch.num_rows() > 0).try_for_each(|batch| self.write_batch(batch))
            }
            Encoded::Lines(lines) => {
                self.append(rows_file(self.name), lines.text())?;
                self.append(format!("{}.sources.jsonl", self.name), lines.sources())?;
                self.bytes += lines.text().len() as u64;
                Ok(())
            }
        }
    }

    fn write_batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let path = self.folder.join(self.parquet_name());
        let failed = |source| Error::Parquet { action: "write", path: path.clone(), source };
        let writer = match &mut self.parquet {
            Some(writer) => writer,
            none => {
                let writer = ArrowWriter::try_new(create(&path)?, self.schema.clone(), Some(properties()));
                none.insert(writer.map_err(failed)?)
            }
        };
        writer.write(batch).map_err(failed)?;
        if writer.bytes_written() > FILE_BYTES { self.end_parquet() } else { Ok(()) }
    }

    fn parquet_name(&self) -> String {
        format!("{}-{:05}.parquet", self.name, self.files.len())
    }

    fn append(&mut self, name: String, text: &[u8]) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(&name);
        let file = match self.lines.entry(name) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(BufWriter::with_capacity(BUFFER_BYTES, create(&path)?)),
        };
        file.write_all(text).map_err(Error::file("write", &path))
    }

    fn end_parquet(&mut self) -> Result<()> {
        let Some(writer) = self.parquet.take() else { return Ok(()) };
        let name = self.parquet_name();
        let path = self.folder.join(&name);
        let failed = |source| Error::Parquet { action: "write", path: path.clone(), source };
        let file = writer.into_inner().map_err(failed)?;
        file.sync_all().map_err(Error::file("write", &path))?;
        self.bytes += file.metadata().map_err(Error::file("write", &path))?.len();
        self.files.push(name);
        Ok(())
    }

    /// Ends the files; gives their names, and the bytes of those with rows.
    pub(super) fn end(mut self) -> Result<(Vec<String>, u64)> {
        self.end_parquet()?;
        for (name, file) in std::mem::take(&mut self.lines) {
            let path = self.folder.join(&name);
            let file = file.into_inner().map_err(|error| Error::file("write", &path)(error.into_error()))?;
            file.sync_all().map_err(Error::file("write", &path))?;
            self.files.push(name);
        }
        Ok((self.files, self.bytes))
    }
}

/// What the file of a split is called that holds lines.
pub(super) fn rows_file(split: &str) -> String {
    format!("{split}.jsonl")
}

fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(Error::file("create", path))
}

fn properties() -> WriterProperties {
    let compression = Compression::ZSTD(ZstdLevel::default());
    WriterProperties::builder().set_compression(compression).set_max_row_group_bytes(Some(GROUP_BYTES)).build()
}
