//! What a lake holds: sections of its tasks and messages.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};

use super::counted::{CHARS, Counted, Lengths, SECONDS, TURNS, Totals};
use super::section::{Cell, Origin, Picture, SENDER, Section};

/// Days from the first to the last up to which each stands for itself.
const MOST_DAYS: i64 = 62;

/// Characters of a token, as it is mostly reckoned for English.
pub(super) const CHARS_A_TOKEN: f64 = 4.0;

const TOTALS: [&str; 5] = ["tasks", "turns", "messages", "annotations", "errors"];

const TOTALS_SQL: &str = "count(*) AS tasks, sum(turn_count) AS turns, sum(message_count) AS messages,
    sum(annotation_count) AS annotations, count(*) FILTER (status = 'error') AS errors";

fn totals(of: &Totals) -> Vec<Cell> {
    [of.tasks, of.turns, of.messages, of.annotations, of.errors].map(Cell::Count).to_vec()
}

fn sql(query: impl Into<String>) -> Origin {
    Origin::Sql(query.into())
}

pub(super) fn sections(counted: &Counted) -> Vec<Section> {
    let mut sections = vec![projects(counted), batches(counted), days(&counted.days), waits(counted)];
    sections.extend([statuses(counted), errors(counted), turns(counted), roles(counted)]);
    sections.extend([lengths(counted, "user"), lengths(counted, "assistant"), models(counted)]);
    sections.retain(|section| !section.rows.is_empty());
    sections
}

fn projects(counted: &Counted) -> Section {
    let mut rows = counted.projects.iter().collect::<Vec<_>>();
    rows.sort_by_key(|(project, totals)| (Reverse(totals.tasks), project.is_none(), *project));
    let rows = rows.iter().map(|(project, of)| [vec![Cell::name(project)], totals(of)].concat()).collect();
    let query = format!(
        "SELECT project_id AS project, {TOTALS_SQL}\nFROM tasks GROUP BY ALL ORDER BY tasks DESC, project NULLS LAST"
    );
    Section::new("projects", "Projects", &[&["project"][..], &TOTALS].concat(), rows, sql(query))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn batches(counted: &Counted) -> Section {
    let mut rows = counted.batches.iter().collect::<Vec<_>>();
    let order = |(batch, project): &(Option<String>, Option<String>)| {
        (batch.is_none(), batch.clone(), project.is_none(), project.clone())
    };
    rows.sort_by_cached_key(|(of, totals)| (Reverse(totals.tasks), order(of)));
    let names = |(batch, project): &(Option<String>, Option<String>)| vec![Cell::name(batch), Cell::name(project)];
    let rows = rows.iter().map(|(of, count)| [names(of), totals(count)].concat()).collect();
    let query = format!(
        "SELECT batch_id AS batch, project_id AS project, {TOTALS_SQL}\nFROM tasks GROUP BY ALL ORDER BY tasks DESC, batch NULLS LAST, \
         project NULLS LAST"
    );
    Section::new("batches", "Batches", &[&["batch", "project"][..], &TOTALS].concat(), rows, sql(query))
        .picture(Picture::Bars { label: 0, value: 2 })
}

fn days(days: &BTreeMap<NaiveDate, u64>) -> Section {
    let span = days.keys().next().zip(days.keys().next_back()).map_or(0, |(first, last)| (*last - *first).num_days());
    let is_by_day = span <= MOST_DAYS;
    let mut counts = BTreeMap::<NaiveDate, u64>::new();
    for (day, count) in days {
        let begin = if is_by_day { Some(*day) } else { day.with_day(1) };
        *counts.entry(begin.unwrap_or(*day)).or_default() += count;
    }
    let rows = counts.iter().rev().map(|(day, count)| vec![Cell::Text(day.to_string()), Cell::Count(*count)]).collect();
    let unit = if is_by_day { "day" } else { "month" };
    let query = format!(
        "SELECT CAST(date_trunc('{unit}', completed_at AT TIME ZONE 'UTC') AS DATE) AS {unit}, count(*) AS tasks\nFROM tasks WHERE \
         completed_at IS NOT NULL GROUP BY ALL ORDER BY {unit} DESC"
    );
    Section::new("throughput", format!("Tasks completed by {unit}"), &[unit, "tasks"], rows, sql(query))
        .note(format!("By the {unit} in UTC, those without tasks left out; the newest first in the table."))
        .picture(Picture::Columns { label: 0, value: 1 })
}

/// A query's words for the class of a number.
fn classes_sql(number: &str, classes: &[(i64, &str)]) -> String {
    let of = classes
        .iter()
        .rev()
        .map(|(from, name)| format!("    WHEN {number} >= {from} THEN {}", super::section::quoted(name)));
    // The lowest class holds whatever is left.
    let mut lines = of.collect::<Vec<_>>();
    if let (Some(last), Some((_, lowest))) = (lines.last_mut(), classes.first()) {
        *last = format!("    ELSE {}", super::section::quoted(lowest));
    }
    format!("CASE\n{}\nEND", lines.join("\n"))
}

fn of_classes(classes: &[(i64, &str)], counts: impl Fn(usize) -> u64) -> Vec<Vec<Cell>> {
    let counted = classes.iter().enumerate().map(|(class, (_, name))| (name, counts(class)));
    counted
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| vec![Cell::Text((*name).to_owned()), Cell::Count(count)])
        .collect()
}

fn waits(counted: &Counted) -> Section {
    let rows = of_classes(&SECONDS, |class| counted.waits.get(&class).copied().unwrap_or_default());
    let class = classes_sql("seconds", &SECONDS);
    let query = format!(
        "SELECT {class} AS took, count(*) AS tasks\nFROM (SELECT floor(epoch(completed_at - created_at)) AS seconds FROM tasks)\n\
         WHERE seconds IS NOT NULL GROUP BY ALL ORDER BY min(seconds)"
    );
    Section::new("turnaround", "From creation to completion", &["took", "tasks"], rows, sql(query))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn by_count(counts: &BTreeMap<Option<String>, u64>) -> Vec<Vec<Cell>> {
    let all = counts.values().sum::<u64>().max(1) as f64;
    let mut rows = counts.iter().collect::<Vec<_>>();
    rows.sort_by_key(|(name, count)| (Reverse(**count), name.is_none(), *name));
    let row = |(name, count): (&Option<String>, &u64)| {
        vec![Cell::name(name), Cell::Count(*count), Cell::Share(*count as f64 / all)]
    };
    rows.into_iter().map(row).collect()
}

fn statuses(counted: &Counted) -> Section {
    let query = "SELECT status, count(*) AS tasks, count(*) / sum(count(*)) OVER () AS share
FROM tasks GROUP BY status ORDER BY tasks DESC, status NULLS LAST";
    Section::new("statuses", "Statuses", &["status", "tasks", "share"], by_count(&counted.statuses), sql(query))
        .note(format!("{} tasks have a report of sensitive content.", crate::report::grouped(counted.reported)))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn errors(counted: &Counted) -> Section {
    let query = "SELECT type, count(*) AS errors, count(*) / sum(count(*)) OVER () AS share
FROM task_errors GROUP BY type ORDER BY errors DESC, type NULLS LAST";
    Section::new("errors", "Errors of tasks", &["type", "errors", "share"], by_count(&counted.errors), sql(query))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn turns(counted: &Counted) -> Section {
    let rows = of_classes(&TURNS, |class| counted.turns.get(&class).copied().unwrap_or_default());
    let class = classes_sql("coalesce(turn_count, 0)", &TURNS);
    let query = format!(
        "SELECT {class} AS turns, count(*) AS threads\nFROM threads GROUP BY ALL ORDER BY min(turn_count) NULLS FIRST"
    );
    Section::new("turns", "Turns in a thread", &["turns", "threads"], rows, sql(query))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn mean_of(lengths: &Lengths) -> [Cell; 2] {
    let mean = lengths.chars as f64 / lengths.messages.max(1) as f64;
    [Cell::Number(mean, 0), Cell::Number(mean / CHARS_A_TOKEN, 0)]
}

fn named(of: &BTreeMap<Option<String>, Lengths>) -> Vec<Vec<Cell>> {
    let mut rows = of.iter().collect::<Vec<_>>();
    rows.sort_by_key(|(name, lengths)| (Reverse(lengths.messages), name.is_none(), *name));
    let row = |(name, lengths): (&Option<String>, &Lengths)| {
        let [chars, tokens] = mean_of(lengths);
        vec![Cell::name(name), Cell::Count(lengths.messages), chars, tokens]
    };
    rows.into_iter().map(row).collect()
}

const TOKENS: &str = "Tokens are an estimate: four characters each, as is usual for English. `taskloom dataset --tokenizer` counts them.";

fn roles(counted: &Counted) -> Section {
    let query = "SELECT role, count(*) AS messages, avg(length(coalesce(text, ''))) AS mean_characters,
    avg(length(coalesce(text, ''))) / 4 AS mean_tokens
FROM messages GROUP BY role ORDER BY messages DESC, role NULLS LAST";
    let columns = ["role", "messages", "mean_characters", "mean_tokens"];
    Section::new("roles", "Messages by role", &columns, named(&counted.roles), sql(query))
        .note(TOKENS)
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn lengths(counted: &Counted, role: &str) -> Section {
    let of = |class| counted.lengths.get(&(Some(role.to_owned()), class)).copied().unwrap_or_default();
    let class = classes_sql("length(coalesce(text, ''))", &CHARS);
    let query = format!(
        "SELECT {class} AS characters, count(*) AS messages\nFROM messages WHERE role = '{role}' GROUP BY ALL ORDER BY \
         min(length(coalesce(text, '')))"
    );
    let title = format!("Characters of messages of role {role}");
    Section::new(format!("lengths-{role}"), title, &["characters", "messages"], of_classes(&CHARS, of), sql(query))
        .picture(Picture::Bars { label: 0, value: 1 })
}

fn models(counted: &Counted) -> Section {
    let query = format!(
        "SELECT {SENDER} AS model, count(*) AS answers, avg(length(coalesce(text, ''))) AS mean_characters,\n    \
         avg(length(coalesce(text, ''))) / {CHARS_A_TOKEN} AS mean_tokens\nFROM messages WHERE role = 'assistant' GROUP BY ALL ORDER BY \
         answers DESC, model NULLS LAST"
    );
    let columns = ["model", "answers", "mean_characters", "mean_tokens"];
    Section::new("models", "Answers by model", &columns, named(&counted.models), sql(query))
        .note("By the model, or by the source where a message names none.")
        .picture(Picture::Bars { label: 0, value: 1 })
}
