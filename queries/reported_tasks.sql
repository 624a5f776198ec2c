-- A row is a report of sensitive content in a task, and why it was made.
SELECT
    tasks.project, tasks.batch, tasks.date, task_id, status,
    sensitive_content_report_index AS report_index,
    type AS reason,
    message
FROM sensitive_content_reports
JOIN tasks USING (task_id)
ORDER BY task_id, report_index;
