//! pyarrow's datasets, in Python.

use super::{Reading, ScopeView, Via, python, scope_views};
use crate::table::Dataset;

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
                let types = if table.dataset == Dataset::Tasks { "" } else { ", BY_PROJECT" };
                format!("{name} = dataset(\"{name}\"{types})\n")
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

/// The version that is in every table.
const NEWEST: &str = "DeltaTable(f\"{LAKE}/tasks\").version()";
const DELTA_IMPORTS: &str = "import pyarrow.dataset as ds\nfrom deltalake import DeltaTable\n";

const SCAN: &str = r#"BY_PROJECT = [("project", pa.string())]
BY_DATE = [("project", pa.string()), ("batch", pa.string()), ("date", pa.date32())]


def dataset(table, partitions=BY_DATE):
    partitioning = ds.partitioning(pa.schema(partitions), flavor="hive")
    # Folders above the lake that look like partitions, such as team=a, are none of its.
    return ds.dataset(FILES[table], partitioning=partitioning, partition_base_dir=str(LAKE))


"#;
