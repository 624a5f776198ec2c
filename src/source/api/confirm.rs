//! Whether tasks are gone that a walk did not bring. One may have changed its place while pages came, or have been made since then: so
//! each is asked for by its id before anybody loses it.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::client::{Answer, Client};
use super::endpoint::Endpoint;
use super::frontier::Request;
use super::query::{Query, Selector, parameter};
use super::{ApiConfig, runtime};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::source::Spares;

/// Statuses that refuse the question, not the task.
const REFUSALS: [u16; 2] = [402, 403];

/// Asks for each of these tasks. One is gone where the API does not know it, or tells that the query does not mean it.
pub(super) fn are_gone(config: &ApiConfig, query: &Query, ids: &[String], progress: &Progress) -> Result<Vec<bool>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let client = Arc::new(Client::new(config, &progress.api(), Spares::default())?);
    let runtime = runtime(1)?;
    let mut gone = vec![true; ids.len()];
    let asked = runtime.block_on(async {
        let mut asked = JoinSet::new();
        let mut waiting = ids.iter().enumerate();
        loop {
            while asked.len() < config.concurrency {
                let Some((number, id)) = waiting.next() else { break };
                let (client, request) = (Arc::clone(&client), of_task(id, query));
                asked.spawn(async move { (number, client.get(&request).await) });
            }
            let Some(answered) = asked.join_next().await else { return Ok(()) };
            progress.check()?;
            let (number, answer) = answered.map_err(|_| Error::Reader)?;
            if let Some(gone) = gone.get_mut(number) {
                *gone = is_gone(answer, query)?;
            }
        }
    });
    runtime.shutdown_background();
    match asked {
        Err(Error::Api { status, .. }) if REFUSALS.contains(&status) => {
            tracing::warn!(
                status,
                "the API gives no single tasks to this account: what its listings leave out is gone"
            );
            Ok(vec![true; ids.len()])
        }
        asked => asked.map(|()| gone),
    }
}

fn of_task(id: &str, query: &Query) -> Request {
    let endpoint = Endpoint::Task;
    let mut parameters = vec![parameter("task_id", id)];
    // Ids of projects and batches are all that is looked at.
    parameters.extend(endpoint.parameters(&Query { expand: Vec::new(), ..query.clone() }, 1));
    Request { chain: 0, endpoint, parameters, project: None, has_token: false, is_guess: false }
}

fn is_gone(answer: Result<Answer>, query: &Query) -> Result<bool> {
    match answer? {
        Answer::Absent(..) => Ok(true),
        Answer::Expired => Ok(false),
        // What can't be read is there.
        Answer::Page(body, _) => Ok(serde_json::from_slice(&body).is_ok_and(|task| !is_meant(&task, query))),
    }
}

/// Whether the query means a task, as far as ids tell.
fn is_meant(task: &Value, query: &Query) -> bool {
    let text = |value: &Value| value.as_str().or_else(|| value.get("id")?.as_str()).map(str::to_owned);
    let own = |field: &str| task.get(field).and_then(text);
    let (status, project, batch) = (own("status"), own("project"), own("batch"));
    let has_status = query.statuses.is_empty() || status.is_some_and(|status| query.statuses.contains(&status));
    let is_of = |selector: &Selector| match selector {
        Selector::ProjectId(id) => project.as_ref() == Some(id),
        Selector::BatchId(id) => batch.as_ref() == Some(id),
        _ => true,
    };
    has_status && query.of.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_meant_that_the_query_would_bring() {
        let query = |of: Vec<Selector>, statuses: &[&str]| Query {
            of,
            statuses: statuses.iter().map(|word| (*word).to_owned()).collect(),
            ..Query::default()
        };
        let task = json!({"task_id": "t", "project": {"id": "p"}, "batch": "b", "status": "pending"});
        for (of, statuses, expected) in [
            (vec![Selector::AllProjects], vec![], true),
            (vec![Selector::AllProjects], vec!["completed"], false),
            (vec![Selector::AllProjects], vec!["completed", "pending"], true),
            (vec![Selector::ProjectId("q".to_owned())], vec![], false),
            (vec![Selector::ProjectId("q".to_owned()), Selector::ProjectId("p".to_owned())], vec![], true),
            (vec![Selector::BatchId("b".to_owned())], vec![], true),
            (vec![Selector::ProjectName("any".to_owned())], vec![], true),
        ] {
            assert_eq!(is_meant(&task, &query(of.clone(), &statuses)), expected, "{of:?} {statuses:?}");
        }
    }
}
