//! pyarrow's datasets, in Python.

use super::{ScopeView, python, scope_views};
use crate::table::{Dataset, Table};

pub(super) fn reading_code(lake: &str, tables: &[&'static Table]) -> String {
    let mut code = python::prologue("import pyarrow as pa\nimport pyarrow.dataset as ds\n", lake) + SCAN;
    for table in tables {
        let types = if table.dataset == Dataset::Tasks { "" } else { ", BY_PROJECT" };
        code.push_str(&format!("{name} = dataset(\"{name}\"{types})\n", name = table.name));
    }
    let views = scope_views(tables);
    code.push_str(python::scope_heading(&views));
    for ScopeView { name, word, .. } in views {
        code.push_str(&format!("{name} = annotations.filter(ds.field(\"scope\") == \"{word}\")\n"));
    }
    code
}

const SCAN: &str = r#"BY_PROJECT = [("project", pa.string())]
BY_DATE = [("project", pa.string()), ("batch", pa.string()), ("date", pa.date32())]


def dataset(table, partitions=BY_DATE):
    partitioning = ds.partitioning(pa.schema(partitions), flavor="hive")
    # Folders above the lake that look like partitions, such as team=a, are none of its.
    return ds.dataset(FILES[table], partitioning=partitioning, partition_base_dir=str(LAKE))


"#;
