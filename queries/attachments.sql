-- A row is a mime type: how many attachments it has, how many have a known size, and the sum.
WITH sizes AS (
    SELECT
        mime_type, task_id,
        -- Four characters of base64 are three bytes; the padding is none.
        coalesce(
            file_size_in_bytes, CAST(floor(length(replace(content, '=', '')) * 3 / 4) AS BIGINT)
        ) AS bytes
    FROM attachments
)
SELECT
    mime_type,
    count(*) AS attachment_count,
    count(bytes) AS sized_count,
    sum(bytes) AS total_bytes,
    count(DISTINCT task_id) AS task_count
FROM sizes
GROUP BY mime_type
ORDER BY attachment_count DESC, mime_type NULLS LAST;
