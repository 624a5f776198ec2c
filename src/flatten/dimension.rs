//! Projects, batches, deliveries, and which task came with which delivery.

use super::fields::{Fields, Workbench};
use crate::batch::Tables;
use crate::json::Member;
use crate::parse::Problem;
use crate::table::catalog::{batches, deliveries, delivery_tasks, projects};

type Members<'a> = &'a [Member<'a>];

fn required<'a>(fields: &mut Fields<'a>, key: &str) -> Result<&'a str, Problem> {
    fields.text(key).ok_or_else(|| Problem::here("expected a string").inside(&format!(".{key}")))
}

pub(super) fn project<'a>(members: Members<'a>, tables: &mut Tables, bench: &'a Workbench) -> Result<(), Problem> {
    let mut fields = Fields::of(members, bench);
    let row = projects::Row {
        project_id: required(&mut fields, "id")?,
        name: fields.text("name"),
        created_at: fields.instant("created_at"),
        types: fields.text_list("types"),
        models: fields.text_list("models"),
        extra: fields.rest([]),
    };
    Ok(tables.projects.push(row)?)
}

pub(super) fn batch<'a>(members: Members<'a>, tables: &mut Tables, bench: &'a Workbench) -> Result<(), Problem> {
    let mut fields = Fields::of(members, bench);
    let batch_id = required(&mut fields, "id")?;
    let project = fields.reference("project");
    let row = batches::Row {
        batch_id,
        name: fields.text("name"),
        project_id: project.id,
        project_name: project.name,
        status: fields.text("status"),
        created_at: fields.instant("created_at"),
        completed_at: fields.instant("completed_at"),
        callback: fields.text("callback"),
        metadata: fields.json("metadata"),
        extra: fields.rest([("project", project.fields)]),
    };
    Ok(tables.batches.push(row)?)
}

pub(super) fn delivery<'a>(members: Members<'a>, tables: &mut Tables, bench: &'a Workbench) -> Result<(), Problem> {
    let mut fields = Fields::of(members, bench);
    let delivery_id = required(&mut fields, "id")?;
    let project = fields.reference("project");
    let row = deliveries::Row {
        delivery_id,
        name: fields.text("name"),
        project_id: project.id,
        project_name: project.name,
        task_count: fields.integer("task_count"),
        delivered_at: fields.instant("delivered_at"),
        extra: fields.rest([("project", project.fields)]),
    };
    Ok(tables.deliveries.push(row)?)
}

pub(super) fn delivery_task<'a>(
    members: Members<'a>,
    tables: &mut Tables,
    bench: &'a Workbench,
) -> Result<(), Problem> {
    let mut fields = Fields::of(members, bench);
    let row = delivery_tasks::Row {
        delivery_id: required(&mut fields, "delivery_id")?,
        task_id: required(&mut fields, "task_id")?,
        delivered_at: fields.instant("delivered_at"),
        response_schema_id: fields.text("response_schema_id"),
        extra: fields.rest([]),
    };
    Ok(tables.delivery_tasks.push(row)?)
}
