-- A row is a model and a criterion: how many answers of the model were rated by it, and how well.
-- A criterion is the key of an annotation with a number, or its title if it has no key.
SELECT
    coalesce(model, source_id) AS model,
    coalesce(key, title) AS criterion,
    count(*) AS ratings,
    avg(value_number) AS mean_rating
FROM message_annotations
JOIN messages USING (task_id, thread_index, turn_index, message_index)
WHERE
    role = 'assistant'
    AND value_number IS NOT NULL
    AND not_applicable IS NOT TRUE
    AND cannot_assess IS NOT TRUE
GROUP BY coalesce(model, source_id), coalesce(key, title)
ORDER BY criterion NULLS LAST, model NULLS LAST;
