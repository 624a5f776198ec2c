-- A row is a choice of a ranking with ties, with the rank of its group from 1, the best.
-- Change ranking_key.
WITH parameters AS (
    SELECT 'ranking_with_ties' AS ranking_key
)
SELECT
    task_id, thread_index, turn_index, annotation_index, choice_rank, choice,
    cardinality(choice_group) > 1 AS is_tied
FROM turn_annotations
JOIN parameters ON key = ranking_key
CROSS JOIN LATERAL UNNEST(value_groups) WITH ORDINALITY AS choice_groups(choice_group, choice_rank)
CROSS JOIN LATERAL UNNEST(choice_group) AS choices(choice)
WHERE coalesce(type, 'ranked_groups') = 'ranked_groups'
ORDER BY task_id, thread_index, turn_index, annotation_index, choice_rank, choice;
