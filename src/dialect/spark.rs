//! Spark, in Python.

use super::{Path, Reading, ScopeView, Via, columns, python, scope_views, wrap};
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

/// The columns of a table with those of its partitions, as one declaration.
pub(super) fn declared(table: &'static Table) -> String {
    fields(table).join(", ")
}

pub(super) fn schema(table: &'static Table) -> String {
    format!("-- {}\n{}\n", table.name, wrap(&fields(table), ""))
}

pub(super) fn reading_code(via: Via, reading: &Reading<'_>) -> String {
    let mut code = match via {
        Via::Delta => python::by_delta("from pyspark.sql import SparkSession\n", "None", reading) + SESSION + DELTA,
        Via::Records => {
            python::by_records(
                "from pyspark.sql import SparkSession\nfrom pyspark.sql.functions import expr\n",
                reading,
            ) + "\n"
                + SESSION
                + RECORDS
        }
    };
    for table in reading.tables {
        let name = table.name;
        code.push_str(&match via {
            Via::Delta => format!("{name} = view(\"{name}\")\n"),
            Via::Records => {
                format!("{name} = view(\"{name}\", \"\"\"\n{}\n\"\"\")\n", wrap(&fields(table), "    "))
            }
        });
    }
    let views = scope_views(reading.tables);
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

const SESSION: &str = "\
spark = SparkSession.builder.getOrCreate()
spark.conf.set(\"spark.sql.session.timeZone\", \"UTC\")
";

const DELTA: &str = r#"
if VERSION is None:
    history = spark.sql(f"DESCRIBE HISTORY delta.`{LAKE}/tasks` LIMIT 1")
    VERSION = history.first()["version"]


def view(table):
    frame = spark.read.format("delta").option("versionAsOf", VERSION).load(f"{LAKE}/{table}")
    frame.createOrReplaceTempView(table)
    return frame


"#;

const RECORDS: &str = r#"# Lists files here, not in a job with a task a file, which takes ten times as long.
spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", 1_000_000)


def view(table, columns):
    # The files are named one by one: what would be a pattern in their paths is none.
    reader = spark.read.schema(columns).option("basePath", str(LAKE / table)).option("__globPaths__", False)
    frame = reader.parquet(*FILES[table])
    # Of what is escaped in a path Spark makes a character of each byte: so here they become bytes again.
    ids = [name for name in ("project", "batch") if name in frame.columns]
    frame = frame.withColumns({name: expr(f"decode(encode({name}, 'ISO-8859-1'), 'UTF-8')") for name in ids})
    frame.createOrReplaceTempView(table)
    return frame


"#;
