//! pyarrow's datasets, in Python.

use super::{Reading, ScopeView, Via, python, scope_views, wrap};
use crate::table::{Dataset, Shape, Table};

pub(super) fn reading_code(via: Via, reading: &Reading<'_>) -> String {
    let mut code = match via {
        Via::Delta => python::by_delta(DELTA_IMPORTS, NEWEST, reading),
        Via::Records => python::by_records("import pyarrow as pa\nimport pyarrow.dataset as ds\n", reading) + SCAN,
    };
    for table in reading.tables {
        let name = table.name;
        code.push_str(&match via {
            Via::Delta => {
                format!("{name} = DeltaTable(f\"{{LAKE}}/{name}\", version=VERSION).to_pyarrow_dataset()\n")
            }
            Via::Records => {
                let partitions = if table.dataset == Dataset::Tasks { "" } else { ", BY_PROJECT" };
                format!("{name} = dataset(\"{name}\"{partitions}{})\n", pinned(table))
            }
        });
    }
    let views = scope_views(reading.tables);
    code.push_str(python::scope_heading(&views));
    for ScopeView { name, word, .. } in views {
        code.push_str(&format!("{name} = annotations.filter(ds.field(\"scope\") == \"{word}\")\n"));
    }
    code
}

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Json => "pa.string()",
        Shape::Int32 => "pa.int32()",
        Shape::Int64 => "pa.int64()",
        Shape::Float64 => "pa.float64()",
        Shape::Boolean => "pa.bool_()",
        Shape::Timestamp => "pa.timestamp(\"us\", \"UTC\")",
        Shape::TextList => "pa.list_(pa.string())",
        Shape::TextGroups => "pa.list_(pa.list_(pa.string()))",
    }
}

/// The columns of a table that got some over time, as an argument.
fn pinned(table: &Table) -> String {
    let pinned = table.columns.iter().map(|column| format!("(\"{}\", {})", column.name, kind(column.shape)));
    match table.has_grown() {
        true => format!(", columns=[\n{}\n]", wrap(&pinned.collect::<Vec<_>>(), "    ")),
        false => String::new(),
    }
}

/// The version that is in every table.
const NEWEST: &str = "DeltaTable(f\"{LAKE}/tasks\").version()";
const DELTA_IMPORTS: &str = "import pyarrow.dataset as ds\nfrom deltalake import DeltaTable\n";

const SCAN: &str = r#"BY_PROJECT = [("project", pa.string())]
BY_DATE = [("project", pa.string()), ("batch", pa.string()), ("date", pa.date32())]


def dataset(table, partitions=BY_DATE, columns=None):
    partitioning = ds.partitioning(pa.schema(partitions), flavor="hive")
    # Where a table got columns over time, files that lack one have nulls there.
    schema = pa.schema(columns + partitions) if columns else None
    # Folders above the lake that look like partitions, such as team=a, are none of its.
    return ds.dataset(FILES[table], schema=schema, partitioning=partitioning, partition_base_dir=str(LAKE))


"#;
