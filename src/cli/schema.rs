//! `taskloom schema` and `taskloom sql`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::place::PlaceArgs;
use super::voice::Voice;
use crate::dialect::{self, Engine, Format, Reading, Via};
use crate::error::{Error, Result};
use crate::store::address::{absolute, is_address};
use crate::table::{TABLES, Table};

/// Print the tables and their columns.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom schema                               one line a table
  taskloom schema annotations                   what each column means
  taskloom schema messages --format spark       a DDL string for spark.read.schema
  taskloom schema --format duckdb               CREATE TABLE for every table
  taskloom schema --format json                 for programs; as in schemas/")]
pub(super) struct SchemaArgs {
    /// One table only
    #[arg(value_name = "TABLE", value_parser = tables_parser())]
    table: Option<String>,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Print code that reads a lake: paste it and ask.
///
/// The code gives every table a name, pins the types of the partition columns and UTC, and adds a view of the annotations of each
/// level, such as message_annotations. It reads all tables at one version, never half of a run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskloom sql --engine duckdb lake > lake.sql && duckdb -init lake.sql
  taskloom sql --engine polars lake > lake.py && python -i lake.py
  taskloom sql --engine duckdb lake --via records --at 7
  taskloom sql --engine spark /data/lake --table messages --table annotations

Paths in the code are as given: give an absolute one for code that runs elsewhere.")]
pub(super) struct SqlArgs {
    /// Who reads
    #[arg(long, value_enum)]
    engine: Engine,
    #[command(flatten)]
    place: PlaceArgs,
    /// By what the files are found: logs of Delta Lake, or the lake's own records [default: delta; records for spark, and where the path of the lake is one that readers of Delta Lake have trouble with]
    #[arg(long, value_enum, value_name = "WHAT")]
    via: Option<Via>,
    /// The version to read, or its name [default: the newest when the code runs]
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    /// Only this table; may be given more than once [default: all]
    #[arg(long = "table", value_name = "TABLE", value_parser = tables_parser())]
    tables: Vec<String>,
}

fn tables_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(TABLES.iter().map(|table| table.name))
}

pub(super) fn schema(args: &SchemaArgs) -> Result<u8> {
    let text = match (&args.table, args.format) {
        (None, Format::Text) => dialect::overview(),
        (None, format) => dialect::schema(format, TABLES)?,
        (Some(name), format) => dialect::schema(format, &named(std::slice::from_ref(name)))?,
    };
    super::print(&text)?;
    Ok(0)
}

pub(super) fn sql(args: &SqlArgs, voice: Voice) -> Result<u8> {
    let place = args.place.path();
    let Some(lake) = place.to_str() else {
        let (expected, found) = ("a path in UTF-8".to_owned(), place.display().to_string());
        return Err(Error::Usage { setting: "DIR", expected, found });
    };
    let lake = lake.strip_suffix('/').filter(|lake| !lake.is_empty()).unwrap_or(lake);
    check(args)?;
    let version_of = |at| Ok::<_, Error>(args.place.open()?.state_of(Some(at))?.version);
    let at = args.at.as_deref().map(version_of).transpose()?;
    let reading = Reading { lake, tables: &named(&args.tables), at };
    let via = args.via.unwrap_or_else(|| usual_via(args));
    let code = dialect::reading_code(args.engine, via, &reading);
    super::print(&code)?;
    // What is in a bucket is for who runs the code to see.
    if !is_address(place) && matches!(args.place.open(), Err(Error::NoLake { .. })) {
        voice.warn(&format!("{lake} is no lake yet: the code will read one that is made there"));
    }
    Ok(0)
}

/// Whether there is such code.
fn check(args: &SqlArgs) -> Result<()> {
    args.place.check()?;
    let wrong =
        |setting, expected: &str, found: String| Err(Error::Usage { setting, expected: expected.to_owned(), found });
    let is_bucket = is_address(args.place.path());
    if args.engine.is_warehouse() && !is_bucket {
        let found = args.place.path().display().to_string();
        return wrong("LAKE", "the address of a lake in a bucket, where a warehouse can read it", found);
    }
    if args.via == Some(Via::Records) && is_bucket && args.engine != Engine::Duckdb {
        return wrong("--via", "delta, by which this engine reads a lake in a bucket", "records".to_owned());
    }
    match &args.at {
        Some(at) if !args.engine.knows_versions() => {
            wrong("--at", "none: this engine reads the newest version alone", at.clone())
        }
        _ => Ok(()),
    }
}

/// By what an engine reads a lake unless it is told. Readers of Delta Lake take a path for an address, and some fail on what an address
/// would escape.
fn usual_via(args: &SqlArgs) -> Via {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,@~:".contains(byte);
    if is_address(args.place.path()) {
        return Via::Delta;
    }
    let path = absolute(args.place.path()).unwrap_or_default();
    if path.as_os_str().as_encoded_bytes().iter().all(is_plain) { args.engine.via() } else { Via::Records }
}

/// The tables of these names, in the catalog's order; all without a name.
fn named(names: &[String]) -> Vec<&'static Table> {
    let is_meant = |table: &&Table| names.is_empty() || names.iter().any(|name| name == table.name);
    TABLES.iter().copied().filter(is_meant).collect()
}
