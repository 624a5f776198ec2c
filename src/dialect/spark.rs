//! Spark, in Python.

use super::{Path, ScopeView, columns, python, scope_views, wrap};
use crate::table::{Shape, Table};

const PATH: Path = Path { text: "STRING", date: "DATE" };

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Json => "STRING",
        Shape::Int32 => "INT",
        Shape::Int64 => "BIGINT",
        Shape::Float64 => "DOUBLE",
        Shape::Boolean => "BOOLEAN",
        Shape::Timestamp => "TIMESTAMP",
        Shape::TextList => "ARRAY<STRING>",
        Shape::TextGroups => "ARRAY<ARRAY<STRING>>",
    }
}

fn fields(table: &'static Table) -> Vec<String> {
    columns(table, kind, PATH).into_iter().map(|(name, kind)| format!("{name} {kind}")).collect()
}

pub(super) fn schema(table: &'static Table) -> String {
    format!("-- {}\n{}\n", table.name, wrap(&fields(table), ""))
}

pub(super) fn reading_code(lake: &str, tables: &[&'static Table]) -> String {
    let mut code = python::prologue("from pyspark.sql import SparkSession\n", lake) + VIEW;
    for table in tables {
        let fields = wrap(&fields(table), "    ");
        code.push_str(&format!("{name} = view(\"{name}\", \"\"\"\n{fields}\n\"\"\")\n", name = table.name));
    }
    let views = scope_views(tables);
    code.push_str(python::scope_heading(&views));
    for ScopeView { name, word, idle } in views {
        let idle = python::arguments(&idle);
        code.push_str(&format!(
            "{name} = annotations.where(\"scope = '{word}'\").drop(\n{idle}\n)\n\
             {name}.createOrReplaceTempView(\"{name}\")\n"
        ));
    }
    code
}

const VIEW: &str = r#"
spark = SparkSession.builder.getOrCreate()
spark.conf.set("spark.sql.session.timeZone", "UTC")
# Lists files here, not in a job with a task a file, which takes ten times as long.
spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", 1_000_000)


def view(table, columns):
    # The files are named one by one: what would be a pattern in their paths is none.
    reader = spark.read.schema(columns).option("basePath", str(LAKE / table)).option("__globPaths__", False)
    frame = reader.parquet(*FILES[table])
    frame.createOrReplaceTempView(table)
    return frame


"#;
