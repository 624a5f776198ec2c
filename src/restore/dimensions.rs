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
