-- A row is a batch: hours from the creation of its tasks to their completion.
WITH durations AS (
    SELECT project, batch, completed_at - created_at AS duration
    FROM tasks
    WHERE created_at IS NOT NULL AND completed_at IS NOT NULL
),
turnarounds AS (
    SELECT
        project, batch,
        24 * extract(DAY FROM duration) + extract(HOUR FROM duration)
            + extract(MINUTE FROM duration) / 60
            + CAST(extract(SECOND FROM duration) AS INTEGER) / 3600 AS hours
    FROM durations
)
SELECT
    project, batch,
    count(*) AS task_count,
    median(hours) AS median_hours,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY hours) AS p90_hours
FROM turnarounds
GROUP BY project, batch
ORDER BY project NULLS LAST, batch NULLS LAST;
