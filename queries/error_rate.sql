-- A row is a batch and a day (UTC): how many of the tasks that were created on it failed.
SELECT
    project, batch,
    CAST(created_at AS DATE) AS created_on,
    count(*) AS task_count,
    count(*) FILTER (WHERE status = 'error' OR task_error_count > 0) AS failed_count,
    count(*) FILTER (WHERE status = 'error' OR task_error_count > 0) / count(*) AS error_rate
FROM tasks
GROUP BY project, batch, CAST(created_at AS DATE)
ORDER BY project NULLS LAST, batch NULLS LAST, created_on NULLS LAST;
