//! DuckDB's SQL.

use super::{Path, ScopeView, columns, scope_views, wrap};
use crate::table::{Dataset, Shape, Table};

const PATH: Path = Path { text: "VARCHAR", date: "DATE" };

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "VARCHAR",
        Shape::Json => "JSON",
        Shape::Int32 => "INTEGER",
        Shape::Int64 => "BIGINT",
        Shape::Float64 => "DOUBLE",
        Shape::Boolean => "BOOLEAN",
        Shape::Timestamp => "TIMESTAMP WITH TIME ZONE",
        Shape::TextList => "VARCHAR[]",
        Shape::TextGroups => "VARCHAR[][]",
    }
}

pub(super) fn schema(table: &'static Table) -> String {
    let not_null = |name: &str| table.columns.iter().any(|column| column.name == name && !column.nullable);
    let line =
        |(name, kind): (&str, &str)| format!("    \"{name}\" {kind}{}", if not_null(name) { " NOT NULL" } else { "" });
    let lines: Vec<_> = columns(table, kind, PATH).into_iter().map(line).collect();
    format!("CREATE TABLE {} (\n{}\n);\n", table.name, lines.join(",\n"))
}

pub(super) fn reading_code(lake: &str, tables: &[&'static Table]) -> String {
    let mut code = PROLOGUE.replace("{lake}", &lake.replace('\'', "''"));
    for table in tables {
        let scan = if table.dataset == Dataset::Tasks { "by_date" } else { "by_project" };
        code.push_str(&format!("CREATE OR REPLACE TEMP VIEW {name} AS FROM {scan}('{name}');\n", name = table.name));
    }
    let views = scope_views(tables);
    if !views.is_empty() {
        code.push_str("\n-- The annotations of each level, to join with its table.\n");
    }
    for ScopeView { name, word, idle } in views {
        let idle = wrap(&idle.into_iter().map(str::to_owned).collect::<Vec<_>>(), "        ");
        code.push_str(&format!(
            "CREATE OR REPLACE TEMP VIEW {name} AS\n    SELECT * EXCLUDE (\n{idle}\n    )\n    \
             FROM annotations WHERE scope = '{word}';\n"
        ));
    }
    code
}

/// `read_text`, because `read_json` would need to know how long a record can be.
const PROLOGUE: &str = "\
SET TimeZone = 'UTC';
SET VARIABLE lake = '{lake}';
-- The same as a pattern: what stands for other names in a pattern stands for itself.
SET VARIABLE lake_pattern = regexp_replace(getvariable('lake'), '([*?\\[])', '[\\1]', 'g');

-- The files of the newest version that is wholly in place, by table. Run it again to see a newer one.
SET VARIABLE lake_files = (
    WITH records AS (
        SELECT unnest(from_json(content->'record', '{
            \"add\": [{\"table\": \"VARCHAR\", \"path\": \"VARCHAR\"}], \"remove\": [\"VARCHAR\"]
        }'))
        FROM read_text(getvariable('lake_pattern') || '/_taskloom/commits/*.json')
        WHERE parse_filename(filename, true) <= (
            SELECT max(parse_filename(file, true))
            FROM glob(getvariable('lake_pattern') || '/_taskloom/commits/*.published')
        )
    ), present AS (
        SELECT file FROM (SELECT unnest(\"add\") AS file FROM records)
        WHERE file.path NOT IN (SELECT unnest(remove) FROM records)
    ), by_table AS (
        SELECT file.table AS name, list(getvariable('lake_pattern') || '/' || file.path) AS paths
        FROM present GROUP BY name
    )
    SELECT coalesce(map_from_entries(list((name, paths))), error('the lake has no published version')) FROM by_table
);

-- The value that a file's path has for a partition column: in the folder so many from the end. Not told by DuckDB itself, which
-- would take folders above the lake for columns too.
CREATE OR REPLACE TEMP MACRO of_path(file, folder) AS
    nullif(url_decode(split_part(split_part(file, '/', folder), '=', 2)), '__HIVE_DEFAULT_PARTITION__');
CREATE OR REPLACE TEMP MACRO by_date(name) AS TABLE
    SELECT
        * EXCLUDE (filename),
        of_path(filename, -4) AS project, of_path(filename, -3) AS batch, of_path(filename, -2)::DATE AS date
    FROM read_parquet(getvariable('lake_files')[name], hive_partitioning = false, filename = true);
CREATE OR REPLACE TEMP MACRO by_project(name) AS TABLE
    SELECT * EXCLUDE (filename), of_path(filename, -2) AS project
    FROM read_parquet(getvariable('lake_files')[name], hive_partitioning = false, filename = true);

";
