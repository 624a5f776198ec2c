-- A row is a delivery: how many tasks it says that it has, how many the API lists with it, and how many of those the lake holds.
WITH members AS (
    SELECT
        delivery_tasks.delivery_id,
        count(*) AS listed_count,
        count(tasks.task_id) AS held_count
    FROM delivery_tasks
    LEFT JOIN tasks ON tasks.task_id = delivery_tasks.task_id
    GROUP BY delivery_tasks.delivery_id
)
SELECT
    deliveries.delivery_id, deliveries.name, deliveries.delivered_at,
    deliveries.task_count,
    coalesce(members.listed_count, 0) AS listed_count,
    coalesce(members.held_count, 0) AS held_count,
    deliveries.task_count = coalesce(members.held_count, 0) AS is_complete
FROM deliveries
LEFT JOIN members ON members.delivery_id = deliveries.delivery_id
ORDER BY deliveries.delivered_at NULLS LAST, deliveries.delivery_id;
