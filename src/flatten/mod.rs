//! From objects to rows. Pure: what goes in is JSON, what comes out are rows, and no field is lost between.

mod annotation;
mod attachment;
mod digest;
mod dimension;
mod fields;
mod hash;
mod message;
mod place;
mod rubric;
mod task;

pub use attachment::each_attachment;
pub(crate) use digest::{BASE64, decode_base64};
pub use fields::Workbench;
pub use hash::content_hash;

use crate::batch::Tables;
use crate::json::{Member, Value};
use crate::parse::{Problem, tree_of};
use crate::table::{Dataset, Overflow};

impl From<Overflow> for Problem {
    fn from(_: Overflow) -> Problem {
        Problem::here("expected a task whose rows fit into 2 GiB a column, found a larger one")
    }
}

/// What a flattened object tells beside its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flattened {
    /// Lone surrogates that became U+FFFD.
    pub replaced_surrogates: u64,
}

/// Parses one object and appends its rows, or appends nothing and says why not. Several texts are one object: each field counts
/// as the last of them has it.
pub fn flatten(dataset: Dataset, raws: &[&[u8]], tables: &mut Tables, bench: &Workbench) -> Result<Flattened, Problem> {
    let mut flattened = Flattened::default();
    let mut merged: Vec<Member<'_>> = Vec::new();
    let mut members: &[Member<'_>] = &[];
    for raw in raws {
        let document = tree_of(raw, &bench.arena)?;
        let Value::Object(object) = document.root else {
            return Err(Problem::here(format!("expected an object, found {}", document.root.kind())));
        };
        flattened.replaced_surrogates += document.replaced_surrogates;
        members = object;
        if raws.len() > 1 {
            merge(&mut merged, object);
        }
    }
    if raws.len() > 1 {
        members = bench.arena.alloc_slice_copy(&merged);
    }
    let mark = tables.mark();
    let appended = append(dataset, members, tables, bench);
    if appended.is_err() {
        tables.return_to(&mark);
    }
    appended.map(|()| flattened)
}

fn merge<'a>(into: &mut Vec<Member<'a>>, from: &[Member<'a>]) {
    for member in from.iter().filter(|member| member.value != Value::Null) {
        match into.iter_mut().find(|known| known.key == member.key) {
            Some(known) => known.value = member.value,
            None => into.push(*member),
        }
    }
}

fn append<'a>(
    dataset: Dataset,
    members: &'a [Member<'a>],
    tables: &mut Tables,
    bench: &'a Workbench,
) -> Result<(), Problem> {
    match dataset {
        Dataset::Tasks => task::append(members, tables, bench),
        Dataset::Projects => dimension::project(members, tables, bench),
        Dataset::Batches => dimension::batch(members, tables, bench),
        Dataset::Deliveries => dimension::delivery(members, tables, bench),
        Dataset::DeliveryTasks => dimension::delivery_task(members, tables, bench),
        Dataset::TaskChanges => Err(Problem::here("expected an object of the API, found one of the lake")),
    }
}
