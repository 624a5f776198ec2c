//! DuckDB's SQL.

use super::{Path, Reading, ScopeView, Via, columns, scope_views, wrap};
use crate::table::{Column, Dataset, Shape, Table};

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

pub(super) fn reading_code(via: Via, reading: &Reading<'_>) -> String {
    let lake = reading.lake.replace('\'', "''");
    let mut code = secret_of(reading.lake).to_owned();
    code += &match via {
        Via::Delta => by_delta(&lake, reading),
        Via::Records => by_records(&lake, reading),
    };
    let views = scope_views(reading.tables);
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

/// How DuckDB is told of the credentials for an address.
fn secret_of(lake: &str) -> &'static str {
    match lake.split_once("://") {
        Some(("s3" | "s3a", _)) => {
            "-- Credentials come from a secret, such as: CREATE SECRET (TYPE s3, PROVIDER credential_chain);\n"
        }
        Some(("gs", _)) => {
            "-- Credentials come from a secret, such as: CREATE SECRET (TYPE gcs, KEY_ID '…', SECRET '…');\n"
        }
        Some(("az" | "azure" | "abfs" | "abfss", _)) => {
            "-- Credentials come from a secret, such as: CREATE SECRET (TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '…');\n"
        }
        _ => "",
    }
}

fn by_delta(lake: &str, reading: &Reading<'_>) -> String {
    let version = reading.at.map_or_else(|| NEWEST.to_owned(), |at| at.to_string());
    let mut code = DELTA.replace("{lake}", lake).replace("{version}", &version);
    for table in reading.tables {
        let json = table.columns.iter().filter(|column| column.shape == Shape::Json).map(|column| column.name);
        let json = json.map(|name| format!("{name}::JSON AS {name}")).collect::<Vec<_>>();
        let columns = if json.is_empty() { "*".to_owned() } else { format!("* REPLACE ({})", json.join(", ")) };
        code.push_str(&format!(
            "CREATE OR REPLACE TEMP VIEW {name} AS SELECT {columns}\n    \
             FROM delta_scan(getvariable('lake') || '/{name}', version = getvariable('lake_version'));\n",
            name = table.name
        ));
    }
    code
}

fn by_records(lake: &str, reading: &Reading<'_>) -> String {
    let (known, missing) = match reading.at {
        None => (String::new(), "holds no data".to_owned()),
        Some(at) => {
            (format!("\n        WHERE parse_filename(filename, true)::BIGINT <= {at}"), format!("has no version {at}"))
        }
    };
    let mut code = RECORDS.replace("{lake}", lake).replace("{known}", &known).replace("{missing}", &missing);
    let is_there = reading.at.map_or_else(String::new, |at| {
        format!("\n        WHEN (SELECT max(version) FROM records) <> {at} THEN error('the lake {missing}')")
    });
    code = code.replace("{is_there}", &is_there);
    code += &macros("", "", "");
    if reading.tables.iter().any(|table| table.has_grown()) {
        code += "-- The same of tables that got columns over time: files that lack one have nulls there.\n";
        code += &macros("_as", ", columns", ", schema = columns");
    }
    code.push('\n');
    for table in reading.tables {
        let name = table.name;
        let scan = if table.dataset == Dataset::Tasks { "by_date" } else { "by_project" };
        code += &match table.has_grown() {
            false => format!("CREATE OR REPLACE TEMP VIEW {name} AS FROM {scan}('{name}');\n"),
            true => {
                let pinned = table.columns.iter().map(pinned).collect::<Vec<_>>();
                let pinned = wrap(&pinned, "    ");
                format!("CREATE OR REPLACE TEMP VIEW {name} AS FROM {scan}_as('{name}', MAP {{\n{pinned}\n}});\n")
            }
        };
    }
    code
}

/// The macros that read files of a table, with what their names end with and what is told of the columns.
fn macros(suffix: &str, parameter: &str, option: &str) -> String {
    MACROS.replace("{suffix}", suffix).replace("{parameter}", parameter).replace("{option}", option)
}

/// A column as the option `schema` wants it: by its field id.
fn pinned(column: &Column) -> String {
    format!("{}: {{name: '{}', type: '{}', default_value: NULL}}", column.id, column.name, kind(column.shape))
}

/// The version that is in every table, in DuckDB's words. What stands for other names in a pattern stands for itself here.
const NEWEST: &str = "(
    SELECT max(parse_filename(file, true)::BIGINT)
    FROM glob(regexp_replace(getvariable('lake'), '([*?\\[])', '[\\1]', 'g') || '/tasks/_delta_log/*.json')
)";

const DELTA: &str = "\
SET TimeZone = 'UTC';
SET VARIABLE lake = '{lake}';
-- One version for all tables. Run it again to see a newer one. DuckDB fetches its extension `delta` when it first needs it.
SET VARIABLE lake_version = {version};

";

/// `read_text`, because `read_json` would need to know how long a record can be.
const RECORDS: &str = "\
SET TimeZone = 'UTC';
SET VARIABLE lake = '{lake}';
-- The same as a pattern: what stands for other names in a pattern stands for itself.
SET VARIABLE lake_pattern = regexp_replace(getvariable('lake'), '([*?\\[])', '[\\1]', 'g');

-- The files of one version, by table. Run it again to see a newer one.
SET VARIABLE lake_files = (
    WITH records AS (
        SELECT unnest(from_json(content->'record', '{
            \"format\": \"INTEGER\", \"requires\": [\"VARCHAR\"], \"version\": \"BIGINT\",
            \"remove\": [{\"part\": \"VARCHAR\"}],
            \"add\": [{\"part\": \"VARCHAR\", \"folder\": \"VARCHAR\", \"files\": \"JSON\"}]
        }'))
        FROM read_text(getvariable('lake_pattern') || '/_taskloom/commits/*.json'){known}
    ), removed AS (
        SELECT part.part AS name, max(version) AS at
        FROM (SELECT version, unnest(remove) AS part FROM records) GROUP BY name
    ), added AS (
        SELECT part.part AS name, max(version) AS at, max_by(part, version) AS part
        FROM (SELECT version, unnest(\"add\") AS part FROM records) GROUP BY name
    ), files AS (
        SELECT unnest(json_keys(part.files)) AS \"table\", part.files AS entries, '/' || part.folder || '/' || name AS path
        FROM added LEFT JOIN removed USING (name) WHERE removed.at IS NULL OR added.at >= removed.at
    ), by_table AS (
        -- DuckDB takes the first file for what all are like: not one without rows, or it joins in a bad order.
        SELECT \"table\", list(
            getvariable('lake_pattern') || '/' || \"table\" || path ORDER BY ((entries->\"table\")->>'rows')::BIGINT = 0, path
        ) AS paths
        FROM files GROUP BY ALL
    )
    SELECT CASE
        WHEN EXISTS (FROM records WHERE format <> 2 OR len(requires) > 0)
            THEN error('the lake was written by a newer taskloom: its `taskloom sql` prints code that reads it'){is_there}
        ELSE coalesce(map_from_entries(list((\"table\", paths))), error('the lake {missing}'))
    END
    FROM by_table
);

-- The value that a file's path has for a partition column: in the folder so many from the end. Not told by DuckDB itself, which
-- would take folders above the lake for columns too.
CREATE OR REPLACE TEMP MACRO of_path(file, folder) AS
    nullif(url_decode(split_part(split_part(file, '/', folder), '=', 2)), '__HIVE_DEFAULT_PARTITION__');
";

const MACROS: &str = "\
CREATE OR REPLACE TEMP MACRO by_date{suffix}(name{parameter}) AS TABLE
    SELECT
        * EXCLUDE (filename),
        of_path(filename, -4) AS project, of_path(filename, -3) AS batch, of_path(filename, -2)::DATE AS date
    FROM read_parquet(getvariable('lake_files')[name], hive_partitioning = false, filename = true{option});
CREATE OR REPLACE TEMP MACRO by_project{suffix}(name{parameter}) AS TABLE
    SELECT * EXCLUDE (filename), of_path(filename, -2) AS project
    FROM read_parquet(getvariable('lake_files')[name], hive_partitioning = false, filename = true{option});
";
