-- A row is a pair for DPO: the answer that was chosen in a turn, and another answer of that turn.
-- Change choice_key (its value is the source or the model of the chosen answer) and strength_key.
WITH parameters AS (
    SELECT 'selected_model_id' AS choice_key, 'likert_value' AS strength_key
),
-- Where annotators of a turn disagree, nothing is chosen.
choices AS (
    SELECT task_id, thread_index, turn_index, min(value_text) AS choice
    FROM turn_annotations
    JOIN parameters ON key = choice_key
    WHERE value_text IS NOT NULL AND not_applicable IS NOT TRUE AND cannot_assess IS NOT TRUE
    GROUP BY task_id, thread_index, turn_index
    HAVING count(DISTINCT value_text) = 1
),
strengths AS (
    SELECT task_id, thread_index, turn_index, avg(value_number) AS strength
    FROM turn_annotations
    JOIN parameters ON key = strength_key
    WHERE not_applicable IS NOT TRUE AND cannot_assess IS NOT TRUE
    GROUP BY task_id, thread_index, turn_index
),
prompts AS (
    SELECT task_id, thread_index, turn_index, max_by(text, message_index) AS prompt
    FROM messages
    WHERE role = 'user' AND text IS NOT NULL
    GROUP BY task_id, thread_index, turn_index
),
answers AS (
    SELECT
        task_id, thread_index, turn_index, message_index, source_id, model,
        coalesce(model, source_id) AS name, text
    FROM messages
    WHERE role = 'assistant'
),
-- The source counts before the model. A choice that fits several answers chooses none of them.
chosen AS (
    SELECT
        task_id, thread_index, turn_index,
        coalesce(
            max(CASE WHEN source_id = choice THEN message_index END), max(message_index)
        ) AS message_index
    FROM answers
    JOIN choices USING (task_id, thread_index, turn_index)
    WHERE choice IN (source_id, model)
    GROUP BY task_id, thread_index, turn_index
    HAVING count(CASE WHEN source_id = choice THEN 1 END) = 1 OR count(*) = 1
),
chosen_answers AS (
    SELECT task_id, thread_index, turn_index, message_index, name, text
    FROM answers
    JOIN chosen USING (task_id, thread_index, turn_index, message_index)
)
SELECT
    task_id, thread_index, turn_index,
    chosen_answers.message_index AS chosen_index,
    answers.message_index AS rejected_index,
    prompt,
    chosen_answers.text AS chosen,
    answers.text AS rejected,
    chosen_answers.name AS chosen_model,
    answers.name AS rejected_model,
    strength
FROM chosen_answers
JOIN answers USING (task_id, thread_index, turn_index)
JOIN prompts USING (task_id, thread_index, turn_index)
LEFT JOIN strengths USING (task_id, thread_index, turn_index)
-- Nothing can be learned from a text that is missing or the same on both sides.
WHERE chosen_answers.text <> answers.text
ORDER BY task_id, thread_index, turn_index, rejected_index;
