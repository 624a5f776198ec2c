//! What people said: sections of ratings, win rates, agreement and rubrics.

use std::collections::BTreeMap;

use super::counted::{Clustered, Counted, DEVIATIONS, FEW_TASKS};
use super::section::{Cell, Origin, Picture, SENDER, Section, quoted};
use crate::annotations::{AnnotationReport, KeyReport, Use};
use crate::report::grouped;
use crate::winrate::{Bias, WinRates};

/// Keys of ratings that are told, the most frequent first.
const MOST_KEYS: usize = 8;

/// The mean of numbers with its interval, from rows `model`, `task_id` and `number` of a query that stands before.
fn means_sql(count: &str) -> String {
    format!(
        "by_task AS (SELECT model, task_id, sum(number) AS own_sum, count(*) AS own_count FROM numbers GROUP BY ALL),\n\
         means AS (SELECT model, sum(own_sum) / sum(own_count) AS mean FROM by_task GROUP BY ALL)\n\
         SELECT model, mean, mean - {DEVIATIONS} * error AS low, mean + {DEVIATIONS} * error AS high, {count}, tasks\nFROM (\n    \
         SELECT model, mean, sum(own_count) AS {count}, count(*) AS tasks,\n        CASE WHEN count(*) >= {FEW_TASKS} THEN \
         sqrt(sum((own_sum - own_count * mean) ** 2) * count(*) / (count(*) - 1)) / sum(own_count) END AS error\n    \
         FROM by_task JOIN means USING (model) GROUP BY ALL\n)\nORDER BY mean DESC, model"
    )
}

fn means(of: &[(&String, &Clustered)]) -> Vec<Vec<Cell>> {
    let mut rows = of.to_vec();
    rows.sort_by(|(one, own), (other, theirs)| theirs.mean().total_cmp(&own.mean()).then(one.cmp(other)));
    let row = |(model, numbers): &(&String, &Clustered)| {
        let [low, high] = numbers.interval().map_or([None, None], |bounds| bounds.map(Some));
        vec![
            Cell::Text((*model).clone()),
            Cell::Number(numbers.mean(), 2),
            Cell::some(low, 2),
            Cell::some(high, 2),
            Cell::Count(numbers.count),
            Cell::Count(numbers.tasks),
        ]
    };
    rows.iter().map(row).collect()
}

const RANGES: Picture = Picture::Ranges { label: 0, value: 1, low: 2, high: 3 };

const INTERVALS: &str = "Bounds are those of 95 % confidence; what was judged in one task counts together. Where tasks are fewer than 10 there are none.";

/// The numbers of a key, by model.
type ByModel<'c> = Vec<(&'c String, &'c Clustered)>;

/// A section a key.
pub(super) fn ratings(counted: &Counted, report: &AnnotationReport) -> Vec<Section> {
    let mut keys = BTreeMap::<&String, ByModel<'_>>::new();
    counted.ratings.iter().for_each(|((key, model), numbers)| keys.entry(key).or_default().push((model, numbers)));
    let mut keys = keys.into_iter().collect::<Vec<_>>();
    let count = |of: &[(&String, &Clustered)]| of.iter().map(|(_, numbers)| numbers.count).sum::<u64>();
    keys.sort_by_key(|(_, of)| std::cmp::Reverse(count(of)));
    let all = keys.len();
    let others = |number: usize| match all.saturating_sub(MOST_KEYS) {
        more if more > 0 && number + 1 == MOST_KEYS => {
            format!(" This is the last rating that is shown; {more} rarer ones are told by `taskloom annotations`.")
        }
        _ => String::new(),
    };
    let section = |(number, (key, of)): (usize, &(&String, ByModel<'_>))| {
        let query = format!(
            "WITH numbers AS (\n    SELECT {SENDER} AS model, task_id, value_number AS number\n    FROM annotations JOIN messages USING \
             (task_id, thread_index, turn_index, message_index)\n    WHERE scope = 'message' AND role = 'assistant' AND key = {} AND \
             value_score IS NULL AND value_number IS NOT NULL\n        AND not_applicable IS NOT TRUE AND cannot_assess IS NOT TRUE AND \
             {SENDER} IS NOT NULL\n),\n{}",
            quoted(key),
            means_sql("ratings")
        );
        let columns = ["model", "mean", "low", "high", "ratings", "tasks"];
        Section::new(format!("rating-{number}"), format!("Rating: {key}"), &columns, means(of), Origin::Sql(query))
            .note(format!(
                "{INTERVALS} Whether more is better, the number can't tell.{}{}",
                scales(report, key),
                others(number)
            ))
            .picture(RANGES)
    };
    keys.iter().take(MOST_KEYS).enumerate().map(section).collect()
}

/// What must be said of a key whose tasks differ in what could be answered.
fn scales(report: &AnnotationReport, key: &str) -> &'static str {
    let own = report.keys.iter().find(|own| own.level == "message" && own.key.as_deref() == Some(key));
    match own.and_then(|own| own.distinct_scales) {
        Some(0 | 1) => "",
        _ => " Tasks differ in what could be answered: `taskloom annotations` tells how, and such means say little.",
    }
}

pub(super) fn rubrics(counted: &Counted) -> Option<Section> {
    let of = counted.rubrics.iter().collect::<Vec<_>>();
    let query = format!(
        "WITH numbers AS (\n    SELECT {SENDER} AS model, task_id, total_score AS number\n    FROM rubric_evaluations JOIN messages USING \
         (task_id, thread_index, turn_index, message_index)\n    WHERE total_score IS NOT NULL AND {SENDER} IS NOT NULL\n),\n{}",
        means_sql("evaluations")
    );
    let columns = ["model", "mean", "low", "high", "evaluations", "tasks"];
    let section = Section::new("rubrics", "Scores by rubrics", &columns, means(&of), Origin::Sql(query))
        .note(format!("Total scores, as delivered. {INTERVALS}"))
        .picture(RANGES);
    (!of.is_empty()).then_some(section)
}

/// The key of the most choices.
pub(super) fn choice(report: &AnnotationReport) -> Option<&KeyReport> {
    report.keys.iter().find(|key| key.level == "turn" && key.key.is_some() && key.uses.contains(&Use::Choice))
}

/// Each two answers that a choice compares, both ways, as rows `model`, `other` and `won` of `compared`.
fn compared_sql(key: &str) -> String {
    let key = quoted(key);
    format!(
        "WITH answers AS (\n    SELECT *, {SENDER} AS sender FROM messages WHERE role = 'assistant'\n), compared AS (\n    SELECT \
         one.sender AS model, other.sender AS other,\n        CAST(coalesce(value_text IN (one.sender, one.source_id), false) AS INT) AS \
         won\n    FROM annotations JOIN answers AS one USING (task_id, thread_index, turn_index)\n    JOIN answers AS other USING (task_id, \
         thread_index, turn_index)\n    WHERE scope = 'turn' AND annotations.key = {key} AND not_applicable IS NOT TRUE AND cannot_assess \
         IS NOT TRUE\n        AND one.message_index <> other.message_index AND one.sender <> other.sender\n        AND value_text IN \
         (one.sender, one.source_id, other.sender, other.source_id)\n)"
    )
}

pub(super) fn win_rates(rates: &WinRates) -> [Section; 2] {
    let compared = compared_sql(&rates.key);
    [players(rates, &compared), matches(rates, &compared)]
}

fn players(rates: &WinRates, compared: &str) -> Section {
    let rows = rates.players.iter().map(|player| {
        let [low, high] = player.interval.map_or([None, None], |of| [Some(of.low), Some(of.high)]);
        let [score, low, high] = [player.score, low, high].map(|number| Cell::some(number, 2));
        vec![
            Cell::Text(player.name.clone()),
            score,
            low,
            high,
            Cell::Share(player.win_rate),
            Cell::Count(player.comparisons),
        ]
    });
    let query = format!(
        "{compared}\nSELECT model, avg(won) AS win_rate, count(*) AS comparisons\nFROM compared GROUP BY model ORDER BY win_rate DESC, model"
    );
    let told = |bias: &Bias| {
        let compared = grouped(bias.comparisons);
        bias.win_rate.map_or_else(|| "none".to_owned(), |rate| format!("{:.0} % of {compared}", 100.0 * rate))
    };
    let note = format!(
        "Scores are strengths by the model of Bradley and Terry, as logarithms of odds, with the bounds of 95 % confidence: `taskloom winrate \
         --by` tells how. The answer that stands first won {}, the longer one {}. The query counts plain choices alone, by the names of senders.",
        told(&rates.position),
        told(&rates.length)
    );
    let columns = ["model", "score", "low", "high", "win_rate", "comparisons"];
    let title = format!("Models by {}", rates.key);
    Section::new("models-compared", title, &columns, rows.collect(), Origin::Sql(query)).note(note).picture(RANGES)
}

fn matches(rates: &WinRates, compared: &str) -> Section {
    let mut matches = rates.matches.iter().collect::<Vec<_>>();
    matches.sort_by_key(|of| std::cmp::Reverse(of.comparisons));
    let rows = matches.iter().map(|of| {
        let bounds = [of.interval.low, of.interval.high].map(Cell::Share);
        let names = [&of.one, &of.other].map(|name| Cell::Text(name.clone()));
        [&names[..], &[Cell::Share(of.win_rate)], &bounds, &[Cell::Count(of.comparisons)]].concat()
    });
    let query = format!(
        "{compared}\nSELECT model AS one, other, avg(won) AS win_rate, count(*) AS comparisons\nFROM compared GROUP BY ALL ORDER BY \
         comparisons DESC, one, other"
    );
    let columns = ["one", "other", "win_rate", "low", "high", "comparisons"];
    let title = format!("Model against model by {}", rates.key);
    Section::new("matches", title, &columns, rows.collect(), Origin::Sql(query)).note(
        "The share that the one won over the other, with the bounds of 95 % confidence. The query has each two both ways, and counts plain \
         choices alone.",
    )
}

pub(super) fn agreement(report: &AnnotationReport) -> Option<Section> {
    let is_told = |key: &&KeyReport| ["thread", "turn", "message"].contains(&key.level) && key.key.is_some();
    let rows = report.keys.iter().filter(is_told).filter_map(|key| {
        let agreement = key.repeated.percent_agreement?;
        Some(vec![
            Cell::name(&key.key),
            Cell::Text(key.level.to_owned()),
            Cell::Count(key.repeated.units),
            Cell::Share(agreement),
            Cell::some(key.repeated.alpha, 2),
        ])
    });
    let mut rows = rows.collect::<Vec<_>>();
    let units = |row: &Vec<Cell>| row.get(2).and_then(Cell::value).unwrap_or_default() as u64;
    rows.sort_by_key(|row| std::cmp::Reverse(units(row)));
    let query = "WITH said AS (
    SELECT key, scope, task_id, thread_index, turn_index, message_index, coalesce(
        value_text, CAST(value_boolean AS VARCHAR), CAST(value_score AS VARCHAR), CAST(value_number AS VARCHAR),
        CAST(value_list AS VARCHAR), CAST(value_groups AS VARCHAR), CAST(value_json AS VARCHAR)
    ) AS value
    FROM annotations
    WHERE scope IN ('thread', 'turn', 'message') AND key IS NOT NULL AND not_applicable IS NOT TRUE AND cannot_assess IS NOT TRUE
), counts AS (
    SELECT *, count(*) AS judgements FROM said WHERE value IS NOT NULL GROUP BY ALL
), units AS (
    SELECT * EXCLUDE (value, judgements), sum(judgements) AS judgements, sum(judgements * (judgements - 1)) AS equal FROM counts GROUP BY ALL
)
SELECT key, scope AS level, count(*) AS units, avg(equal / (judgements * (judgements - 1))) AS agreement
FROM units WHERE judgements > 1 GROUP BY ALL ORDER BY units DESC, key, level";
    let columns = ["key", "level", "units", "agreement", "alpha"];
    let section = Section::new("agreement", "Agreement of repeated judgements", &columns, rows, Origin::Sql(query.to_owned()))
        .note(
            "Of what was judged more than once: the share of pairs of judgements that are equal, and Krippendorff's alpha. An annotation names \
             no contributor, so this is approximate.",
        )
        .picture(Picture::Bars { label: 0, value: 3 });
    (!section.rows.is_empty()).then_some(section)
}
