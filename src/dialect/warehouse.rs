//! Warehouses that read Delta Lake from a bucket: the statements that make its tables known to them. Written from their documentation;
//! none of them runs on a machine of ours.

use super::{Engine, Reading};

/// What a warehouse needs to know before the tables, with what its reader should know; and how a table is made known.
struct Words {
    before: &'static str,
    table: &'static str,
}

/// Whether a warehouse can be asked for a version.
pub(super) fn knows_versions(engine: Engine) -> bool {
    matches!(engine, Engine::Trino | Engine::Databricks)
}

fn words(engine: Engine) -> Words {
    match engine {
        Engine::Trino => Words {
            before: "\
-- Trino, with a catalog `delta` that has `delta.register-table-procedure.enabled=true` and may read the bucket.
-- One version for all tables: FROM delta.taskloom.messages FOR VERSION AS OF {version}
CREATE SCHEMA IF NOT EXISTS delta.taskloom;
",
            table: "\
CALL delta.system.register_table(
    schema_name => 'taskloom', table_name => '{table}', table_location => '{lake}/{table}');
",
        },
        Engine::Athena => Words {
            before: "\
-- Amazon Athena. It reads the newest version of each table by itself: while a run commits, tables may be one version apart for a
-- moment. `taskloom checkout` makes a folder of exactly one version.
CREATE DATABASE IF NOT EXISTS taskloom;
",
            table: "\
CREATE EXTERNAL TABLE taskloom.{table} LOCATION '{lake}/{table}/' TBLPROPERTIES ('table_type' = 'DELTA');
",
        },
        Engine::Databricks => Words {
            before: "\
-- Databricks, with an external location for the bucket.
-- One version for all tables: FROM taskloom.messages VERSION AS OF {version}
CREATE SCHEMA IF NOT EXISTS taskloom;
",
            table: "\
CREATE TABLE IF NOT EXISTS taskloom.{table} USING DELTA LOCATION '{lake}/{table}';
",
        },
        Engine::Snowflake => Words {
            before: "\
-- Snowflake, with an external volume `taskloom` whose storage location is {lake}/
-- It reads the newest version of each table by itself: while a run commits, tables may be one version apart for a moment.
CREATE CATALOG INTEGRATION IF NOT EXISTS taskloom_delta
    CATALOG_SOURCE = OBJECT_STORE TABLE_FORMAT = DELTA ENABLED = TRUE;
",
            table: "\
CREATE ICEBERG TABLE IF NOT EXISTS {table}
    EXTERNAL_VOLUME = 'taskloom' CATALOG = 'taskloom_delta' BASE_LOCATION = '{table}' AUTO_REFRESH = TRUE;
",
        },
        Engine::Bigquery => Words {
            before: "\
-- BigQuery, with a connection `eu.taskloom` that may read the bucket.
-- It reads the newest version of each table by itself: while a run commits, tables may be one version apart for a moment.
CREATE SCHEMA IF NOT EXISTS taskloom;
",
            table: "\
CREATE EXTERNAL TABLE IF NOT EXISTS taskloom.{table}
    WITH CONNECTION `eu.taskloom` OPTIONS (format = 'DELTA_LAKE', uris = ['{lake}/{table}']);
",
        },
        Engine::Duckdb | Engine::Polars | Engine::Spark | Engine::Pyarrow => Words { before: "", table: "" },
    }
}

pub(super) fn statements(engine: Engine, reading: &Reading<'_>) -> String {
    let Words { before, table } = words(engine);
    let lake = reading.lake.replace('\'', "''");
    let newest = match engine {
        Engine::Trino => "(what SELECT max(version) FROM delta.taskloom.\"tasks$history\" says)",
        _ => "(the newest in DESCRIBE HISTORY taskloom.tasks)",
    };
    let version = reading.at.map_or_else(|| newest.to_owned(), |at| at.to_string());
    let mut code =
        "-- Not tested by taskloom.\n".to_owned() + &before.replace("{lake}", &lake).replace("{version}", &version);
    for of in reading.tables {
        code += &table.replace("{table}", of.name).replace("{lake}", &lake);
    }
    code
}
