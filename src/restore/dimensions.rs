//! Projects, batches, deliveries, and which task came with which delivery: each row as the JSON object that it came from.
//!
//! A row is taken apart whole: a forgotten column doesn't compile.

use super::tree::Object;
use crate::table::catalog::{batches, deliveries, delivery_tasks, projects};

pub(super) fn project(row: projects::Row<'_>) -> Object {
    let projects::Row { project_id, name, created_at, types, models, extra } = row;
    Object::default()
        .with("id", Some(project_id))
        .with("name", name)
        .with_instant("created_at", created_at)
        .with("types", types)
        .with("models", models)
        .with_extra(extra)
}

pub(super) fn batch(row: batches::Row<'_>) -> Object {
    let batches::Row {
        batch_id,
        name,
        project_id,
        project_name,
        status,
        created_at,
        completed_at,
        callback,
        metadata,
        extra,
    } = row;
    Object::default()
        .with("id", Some(batch_id))
        .with("name", name)
        .with_reference("project", project_id, project_name, extra)
        .with("status", status)
        .with_instant("created_at", created_at)
        .with_instant("completed_at", completed_at)
        .with("callback", callback)
        .with_json("metadata", metadata)
        .with_extra(extra)
}

pub(super) fn delivery(row: deliveries::Row<'_>) -> Object {
    let deliveries::Row { delivery_id, name, project_id, project_name, task_count, delivered_at, extra } = row;
    Object::default()
        .with("id", Some(delivery_id))
        .with("name", name)
        .with_reference("project", project_id, project_name, extra)
        .with("task_count", task_count)
        .with_instant("delivered_at", delivered_at)
        .with_extra(extra)
}

pub(super) fn delivery_task(row: delivery_tasks::Row<'_>) -> Object {
    let delivery_tasks::Row { delivery_id, task_id, extra, delivered_at, response_schema_id } = row;
    Object::default()
        .with("delivery_id", Some(delivery_id))
        .with("task_id", Some(task_id))
        .with_instant("delivered_at", delivered_at)
        .with("response_schema_id", response_schema_id)
        .with_extra(extra)
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use bumpalo::Bump;

    use super::*;
    use crate::batch::Tables;
    use crate::flatten::{Workbench, flatten};
    use crate::table::{Dataset, TableReader};

    fn flattened(dataset: Dataset, json: &str) -> RecordBatch {
        let (mut tables, bench) = (Tables::default(), Workbench::default());
        flatten(dataset, &[json.as_bytes()], &mut tables, &bench).unwrap();
        tables.finish().unwrap().remove(0).1
    }

    fn put_together<R: TableReader>(batch: &RecordBatch, restore: impl Fn(R::Row<'_>) -> Object) -> String {
        let (reader, arena, mut json) = (R::new(batch).unwrap(), Bump::new(), String::new());
        restore(reader.row(0, &arena)).into_json().unwrap().write(&mut json);
        json
    }

    #[test]
    fn rows_of_what_comes_beside_tasks_come_back() {
        let project = r#"{"id":"p","name":"P","created_at":"2025-01-02T03:04:05.678901Z","types":["a","b"],"models":[],"z":{"y":1,"a":2}}"#;
        let batch = r#"{"id":"b","project":{"id":"p","name":"P","more":[1]},"status":"odd","completed_at":"never","callback":"c","metadata":{"z":1,"a":2.50}}"#;
        let delivery = r#"{"id":"d","name":7,"project":"p","task_count":3,"delivered_at":"2025-01-02T03:04:05Z"}"#;
        let membership = r#"{"delivery_id":"d","task_id":"t","delivered_at":"2025-01-02T03:04:05Z","response_schema_id":"s","response":{"z":0,"a":1}}"#;
        let rows = flattened(Dataset::Projects, project);
        assert_eq!(flattened(Dataset::Projects, &put_together::<projects::Reader>(&rows, super::project)), rows);
        let rows = flattened(Dataset::Batches, batch);
        assert_eq!(flattened(Dataset::Batches, &put_together::<batches::Reader>(&rows, super::batch)), rows);
        let rows = flattened(Dataset::Deliveries, delivery);
        assert_eq!(flattened(Dataset::Deliveries, &put_together::<deliveries::Reader>(&rows, super::delivery)), rows);
        let rows = flattened(Dataset::DeliveryTasks, membership);
        let again = put_together::<delivery_tasks::Reader>(&rows, super::delivery_task);
        assert_eq!(flattened(Dataset::DeliveryTasks, &again), rows);
        // The order of members is what it was.
        assert!(again.ends_with(r#""response":{"z":0,"a":1}}"#), "{again}");
    }
}
