//! Since when there can be tasks: a back-fill begins where the first project, or batch, does.

use std::sync::Arc;

use serde_json::Value;

use super::client::{Answer, Client};
use super::endpoint::Endpoint;
use super::frontier::Request;
use super::query::{Parameter, Selector, parameter};
use super::{ApiConfig, runtime};
use crate::error::Result;
use crate::progress::Progress;
use crate::source::Spares;
use crate::time::read_instant;

/// When the earliest of the projects or batches that are asked for was made, in microseconds; `None` where none tells.
pub fn earliest(config: &ApiConfig, progress: &Progress) -> Result<Option<i64>> {
    let client = Arc::new(Client::new(config, &progress.api(), Spares::default())?);
    let runtime = runtime(1)?;
    let mut earliest = None;
    for selector in &config.plan.query.of {
        progress.check()?;
        let Some((endpoint, parameters)) = listing(selector) else { continue };
        let request = Request { chain: 0, endpoint, parameters, project: None, has_token: false, is_guess: false };
        let Answer::Page(body, _) = runtime.block_on(client.get(&request))? else { continue };
        let page = serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let listed = page.as_object().into_iter().flatten().filter_map(|(_, list)| list.as_array()).flatten();
        let made = listed.filter_map(|made| read_instant(made.get("created_at")?.as_str()?));
        earliest = earliest.into_iter().chain(made).min();
    }
    runtime.shutdown_background();
    Ok(earliest)
}

fn listing(selector: &Selector) -> Option<(Endpoint, Vec<Parameter>)> {
    Some(match selector {
        Selector::AllProjects => (Endpoint::Projects, Vec::new()),
        Selector::ProjectId(id) => (Endpoint::Project, vec![parameter("project_id", id)]),
        Selector::ProjectName(name) => (Endpoint::Project, vec![parameter("project_name", name)]),
        Selector::BatchId(id) => (Endpoint::Batch, vec![parameter("batch_id", id)]),
        Selector::BatchName(name) => (Endpoint::Batch, vec![parameter("batch_name", name)]),
        Selector::Delivery(_) | Selector::TaskId(_) => return None,
    })
}
