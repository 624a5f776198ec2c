//! Polars, in Python.

use super::{Path, Reading, ScopeView, Via, columns, python, scope_views, wrap};
use crate::table::{Dataset, Shape, Table};

const PATH: Path = Path { text: "pl.String", date: "pl.Date" };

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Json => "pl.String",
        Shape::Int32 => "pl.Int32",
        Shape::Int64 => "pl.Int64",
        Shape::Float64 => "pl.Float64",
        Shape::Boolean => "pl.Boolean",
        Shape::Timestamp => "pl.Datetime(\"us\", \"UTC\")",
        Shape::TextList => "pl.List(pl.String)",
        Shape::TextGroups => "pl.List(pl.List(pl.String))",
    }
}

pub(super) fn schema(table: &'static Table) -> String {
    let line = |(name, kind): (&str, &str)| format!("    \"{name}\": {kind},\n");
    let lines: String = columns(table, kind, PATH).into_iter().map(line).collect();
    format!("{} = pl.Schema({{\n{lines}}})\n", table.name)
}

pub(super) fn reading_code(via: Via, reading: &Reading<'_>) -> String {
    let mut code = match via {
        Via::Delta => python::by_delta("import polars as pl\nfrom deltalake import DeltaTable\n", NEWEST, reading),
        Via::Records => python::by_records(IMPORTS, reading) + SCAN,
    };
    for table in reading.tables {
        let name = table.name;
        code.push_str(&match via {
            Via::Delta => format!("{name} = pl.scan_delta(f\"{{LAKE}}/{name}\", version=VERSION)\n"),
            Via::Records => {
                let partitions = if table.dataset == Dataset::Tasks { "" } else { ", BY_PROJECT" };
                format!("{name} = scan(\"{name}\"{partitions}{})\n", pinned(table))
            }
        });
    }
    let views = scope_views(reading.tables);
    code.push_str(python::scope_heading(&views));
    for ScopeView { name, word, idle } in views {
        let idle = python::arguments(&idle);
        code.push_str(&format!("{name} = annotations.filter(pl.col(\"scope\") == \"{word}\").drop(\n{idle}\n)\n"));
    }
    code
}

/// The columns of a table that got some over time, as an argument.
fn pinned(table: &Table) -> String {
    let pinned = table.columns.iter().map(|column| format!("\"{}\": {}", column.name, kind(column.shape)));
    match table.has_grown() {
        true => format!(", columns={{\n{}\n}}", wrap(&pinned.collect::<Vec<_>>(), "    ")),
        false => String::new(),
    }
}

/// The version that is in every table.
const NEWEST: &str = "DeltaTable(f\"{LAKE}/tasks\").version()";
const IMPORTS: &str = "from datetime import date\nfrom urllib.parse import unquote\n\nimport polars as pl\n";

const SCAN: &str = r#"BY_PROJECT = {"project": pl.String}
BY_DATE = {"project": pl.String, "batch": pl.String, "date": pl.Date}


def scan(table, partitions=BY_DATE, columns=None):
    # Where a table got columns over time, files that lack one have nulls there.
    pinned = {"schema": columns, "missing_columns": "insert", "extra_columns": "ignore"}
    if not any("=" in part for part in LAKE.resolve().parts):
        return pl.scan_parquet(FILES[table], glob=False, hive_partitioning=True, hive_schema=partitions, **pinned)
    # Polars would take a folder above the lake, such as team=a, for a column: so it is told what is in each folder.
    folders = {}
    for file in FILES[table]:
        folders.setdefault(pathlib.Path(file).parent, []).append(file)
    return pl.concat(
        pl.scan_parquet(files, glob=False, hive_partitioning=False, **pinned).with_columns(**values(folder, partitions))
        for folder, files in folders.items()
    )


def values(folder, partitions):
    texts = [part.partition("=")[2] for part in folder.parts[-len(partitions):]]
    texts = [None if text == "__HIVE_DEFAULT_PARTITION__" else unquote(text) for text in texts]
    return {
        name: pl.lit(date.fromisoformat(text) if text and kind == pl.Date else text, kind)
        for (name, kind), text in zip(partitions.items(), texts)
    }


"#;
