-- A row is a message of a chat, in order, with the text that an annotator gave it instead.
-- Change rewrite_key. Where answer_count is above 1, a turn has several answers to choose from.
WITH parameters AS (
    SELECT 'rewrite' AS rewrite_key
),
-- Of several rewrites of a message the last one counts.
rewrites AS (
    SELECT
        task_id, thread_index, turn_index, message_index,
        max_by(value_text, annotation_index) AS rewrite
    FROM message_annotations
    JOIN parameters ON key = rewrite_key
    WHERE value_text <> ''
    GROUP BY task_id, thread_index, turn_index, message_index
)
SELECT
    task_id, thread_index, turn_index, message_index, role,
    CASE WHEN role = 'assistant' THEN coalesce(rewrite, text) ELSE text END AS text,
    role = 'assistant' AND rewrite IS NOT NULL AS is_rewritten,
    count(CASE WHEN role = 'assistant' THEN 1 END)
        OVER (PARTITION BY task_id, thread_index, turn_index) AS answer_count
FROM messages
LEFT JOIN rewrites USING (task_id, thread_index, turn_index, message_index)
ORDER BY task_id, thread_index, turn_index, message_index;
