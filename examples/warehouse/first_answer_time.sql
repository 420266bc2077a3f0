-- Question: How soon do tickets get their first answer?
-- Definition: The time from a ticket's creation to its first answer, nights and weekends included: the median, and what
--   nine of ten tickets stay below. The share within the SLA is that of the tickets answered no later than their
--   deadline of the first answer, in those where it is decided: answered, or not answered and overdue. "Overdue" is by
--   the last change of any ticket that is loaded, not by today's clock.
-- Unknown: Whether Daktela's own first_answer_duration and first_answer_overdue count working hours only; they are not
--   read. The deadline is Daktela's, and whatever its SLA takes for working hours is in it. A ticket that was closed
--   without an answer is neither kept nor missed, and counted apart; one that was merged into another is left out.
-- Reads: tickets
-- Rows: All categories first, then each one.
WITH as_of AS (
    SELECT max(edited) AS now FROM tickets
),

measured AS (
    SELECT
        category_name,
        category_title,
        extract(epoch FROM first_answer - created) AS seconds,
        first_answer IS NOT NULL AS answered,
        first_answer IS NULL AND stage IN ('CLOSE', 'ARCHIVE') AS closed_unanswered,
        first_answer <= first_answer_deadline AS in_time,
        first_answer > first_answer_deadline AS late,
        first_answer IS NULL AND stage IN ('OPEN', 'WAIT') AND first_answer_deadline < now AS overdue
    FROM tickets
    CROSS JOIN as_of
    WHERE id_merge_name IS NULL
)

SELECT
    category_name,
    CASE
        WHEN grouping(category_name) = 1 THEN 'all categories'
        WHEN category_name IS NULL THEN '(no category)'
        ELSE coalesce(max(category_title), category_name)
    END AS category,
    count(*) AS tickets,
    count(*) FILTER (WHERE answered) AS answered,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS percentile_90_seconds,
    count(*) FILTER (WHERE in_time) AS in_time,
    count(*) FILTER (WHERE late) AS late,
    count(*) FILTER (WHERE overdue) AS overdue,
    1.0 * count(*) FILTER (WHERE in_time) / nullif(count(*) FILTER (WHERE in_time OR late OR overdue), 0)
        AS within_sla_share,
    count(*) FILTER (WHERE closed_unanswered) AS closed_unanswered,
    count(*) FILTER (WHERE seconds <= 300) AS up_to_5_min,
    count(*) FILTER (WHERE seconds > 300 AND seconds <= 900) AS up_to_15_min,
    count(*) FILTER (WHERE seconds > 900 AND seconds <= 3600) AS up_to_1_h,
    count(*) FILTER (WHERE seconds > 3600 AND seconds <= 14400) AS up_to_4_h,
    count(*) FILTER (WHERE seconds > 14400 AND seconds <= 86400) AS up_to_1_day,
    count(*) FILTER (WHERE seconds > 86400) AS over_1_day
FROM measured
GROUP BY GROUPING SETS ((category_name), ())
ORDER BY grouping(category_name) DESC, category_name NULLS LAST;
