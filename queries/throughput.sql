-- A row is a contributor and a day (UTC): how often they submitted, and in how many tasks.
SELECT
    contributor_id,
    CAST(submitted_at AS DATE) AS submitted_on,
    count(*) AS submission_count,
    count(DISTINCT task_id) AS task_count
FROM submissions
GROUP BY contributor_id, CAST(submitted_at AS DATE)
ORDER BY contributor_id NULLS LAST, submitted_on NULLS LAST;
