//! The catalog against its golden files and its own rules.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::json;
use taskloom::internals::table::{Column, SCHEMA_VERSION, TABLES, Table};

fn golden_path(table: &Table) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/v{SCHEMA_VERSION}/{}.json", table.name))
}

/// `UPDATE_SCHEMAS=1 cargo test schemas` writes the files anew.
#[test]
fn golden_files_say_what_the_catalog_says() {
    for table in TABLES {
        let mut current = serde_json::to_value(table).unwrap();
        current["schema_version"] = json!(SCHEMA_VERSION);
        let current = serde_json::to_string_pretty(&current).unwrap() + "\n";
        let path = golden_path(table);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &current).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(golden == current, "{} differs from the catalog; see the test for how to update it", path.display());
    }
    let folder = golden_path(TABLES[0]);
    assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), TABLES.len());
}

/// What an older version of the schemas said, the catalog still says; what came since stands behind it and may be null.
#[test]
fn a_newer_schema_only_adds_to_an_older_one() {
    for version in 1..SCHEMA_VERSION {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/v{version}"));
        for table in TABLES {
            let Ok(golden) = std::fs::read(folder.join(format!("{}.json", table.name))) else {
                assert!(table.since() > version, "{} has no golden file of version {version}", table.name);
                continue;
            };
            let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
            let told = |column: &serde_json::Value| ["id", "name", "shape"].map(|key| column[key].clone());
            let older = golden["columns"].as_array().unwrap().iter().map(told).collect::<Vec<_>>();
            let column = |column: &Column| told(&serde_json::to_value(column).unwrap());
            assert_eq!(table.columns_at(version).map(column).collect::<Vec<_>>(), older, "{}", table.name);
            let newer = table.columns.iter().skip(older.len());
            assert!(newer.clone().all(|column| column.nullable && column.since > version), "{}", table.name);
        }
    }
}

#[test]
fn tables_and_columns_are_named_once_and_explained() {
    let tables = TABLES.iter().map(|table| table.name).collect::<HashSet<_>>();
    assert_eq!((tables.len(), TABLES.len()), (20, 20));
    for table in TABLES {
        let names = table.columns.iter().map(|column| column.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), table.columns.len(), "{}", table.name);
        let ids = table.columns.iter().map(|column| column.id).collect::<Vec<_>>();
        assert_eq!(ids, (1..=ids.len() as i32).collect::<Vec<_>>(), "{}", table.name);
        for column in table.columns {
            let is_snake = |character: char| matches!(character, 'a'..='z' | '0'..='9' | '_');
            assert!(column.name.chars().all(is_snake), "{}", column.name);
            assert!(column.doc.ends_with('.') && !column.source.is_empty(), "{}.{}", table.name, column.name);
            assert!(!["project", "batch", "date"].contains(&column.name), "{} is a partition's name", column.name);
        }
    }
}

#[test]
fn every_array_of_the_api_has_a_count_on_its_parent() {
    let counts = TABLES.iter().flat_map(|table| table.columns).filter(|column| column.name.ends_with("_count"));
    let counts = counts.map(|column| column.name).collect::<HashSet<_>>();
    let children = TABLES.iter().filter(|table| table.columns.iter().any(|column| column.name.ends_with("_index")));
    for table in children {
        let own = table.sort_columns().last().unwrap().name.replace("_index", "_count");
        assert!(counts.contains(own.as_str()), "{own}");
    }
}
