//! From objects to rows. Pure: what goes in is JSON, what comes out are rows, and no field is lost between.

mod annotation;
mod dimension;
mod fields;
mod hash;
mod message;
mod rubric;
mod task;

pub use fields::Workbench;

use crate::batch::Tables;
use crate::json::{Member, Value};
use crate::parse::{Problem, deep_parse};
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

/// Parses one object and appends its rows, or appends nothing and says why not.
pub fn flatten(dataset: Dataset, raw: &[u8], tables: &mut Tables, bench: &Workbench) -> Result<Flattened, Problem> {
    let document = deep_parse(raw, &bench.arena)?;
    let Value::Object(members) = document.root else {
        return Err(Problem::here(format!(
            "expected an object, found {}",
            document.root.kind()
        )));
    };
    let mark = tables.mark();
    let appended = append(dataset, members, tables, bench);
    if appended.is_err() {
        tables.return_to(&mark);
    }
    appended.map(|()| Flattened {
        replaced_surrogates: document.replaced_surrogates,
    })
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
    }
}
