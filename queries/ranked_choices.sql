-- A row is a choice of a ranking of a turn's answers, with its rank from 1, the best.
-- Change ranking_key.
WITH parameters AS (
    SELECT 'ranking' AS ranking_key
)
SELECT task_id, thread_index, turn_index, annotation_index, choice_rank, choice
FROM turn_annotations
JOIN parameters ON key = ranking_key
CROSS JOIN LATERAL UNNEST(value_list) WITH ORDINALITY AS choices(choice, choice_rank)
WHERE coalesce(type, 'ranked_choices') = 'ranked_choices'
ORDER BY task_id, thread_index, turn_index, annotation_index, choice_rank;
