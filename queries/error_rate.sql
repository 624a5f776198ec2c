-- A row is a batch and a day (UTC) of the lake: how many of its tasks failed.
-- A completed task counts on the day of its completion, any other on that of its creation.
SELECT
    project, batch, date,
    count(*) AS task_count,
    count(*) FILTER (WHERE status = 'error' OR task_error_count > 0) AS failed_count,
    count(*) FILTER (WHERE status = 'error' OR task_error_count > 0) / count(*) AS error_rate
FROM tasks
GROUP BY project, batch, date
ORDER BY project NULLS LAST, batch NULLS LAST, date NULLS LAST;
