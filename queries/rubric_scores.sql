-- A row is the evaluation of an answer by a rubric: its weighted score, out of the reachable.
-- Change highest_score, the most that one criterion can score, and weight_if_missing.
WITH parameters AS (
    SELECT 5 AS highest_score, 1 AS weight_if_missing
),
-- Ids repeat from rubric to rubric: the first criterion of a turn with the id counts.
criteria AS (
    SELECT
        task_id, thread_index, turn_index, criterion_definition_id,
        min_by(
            coalesce(weight, weight_if_missing), (rubric_index, rubric_criterion_index)
        ) AS weight
    FROM rubric_criteria
    CROSS JOIN parameters
    GROUP BY task_id, thread_index, turn_index, criterion_definition_id
),
scores AS (
    SELECT
        task_id, thread_index, turn_index, message_index, rubric_evaluation_index,
        count(score) AS scored_count,
        count(*) - count(score) AS unscored_count,
        sum(score * coalesce(weight, weight_if_missing)) AS weighted_score,
        -- What a criterion with a negative weight can best do is not to score.
        sum(
            CASE WHEN score IS NOT NULL THEN
                highest_score * greatest(coalesce(weight, weight_if_missing), 0)
            END
        ) AS reachable_score
    FROM criterion_evaluations
    CROSS JOIN parameters
    LEFT JOIN criteria USING (task_id, thread_index, turn_index, criterion_definition_id)
    GROUP BY task_id, thread_index, turn_index, message_index, rubric_evaluation_index
)
SELECT
    task_id, thread_index, turn_index, message_index, rubric_evaluation_index,
    coalesce(model, source_id) AS model,
    coalesce(scored_count, 0) AS scored_count,
    coalesce(unscored_count, 0) AS unscored_count,
    weighted_score,
    reachable_score,
    weighted_score / nullif(reachable_score, 0) AS weighted_share,
    total_score AS stated_score,
    percentage AS stated_percentage
FROM rubric_evaluations
JOIN messages USING (task_id, thread_index, turn_index, message_index)
LEFT JOIN scores
    USING (task_id, thread_index, turn_index, message_index, rubric_evaluation_index)
ORDER BY task_id, thread_index, turn_index, message_index, rubric_evaluation_index;
