-- Question: How many callers hang up before anyone answers, and when?
-- Definition: Offered are all incoming calls, each once, however often it was passed on. Each is one of four: answered;
--   abandoned, where the caller hung up after 5 seconds or more; a short abandon, where the caller hung up before; or
--   not answered for another reason, such as a time limit of the queue or a key that the caller pressed. The abandoned
--   share is that of the abandoned calls in the offered ones without short abandons. An abandoned call without a
--   waiting time is not taken for a short one.
-- Unknown: Which callers without an answer were helped later: to_call_back are those that Daktela still marks as
--   missed, called_back those that it marks as called back. It marks neither in other calls.
-- Reads: activities_call
-- Rows: The whole day first (half_hour is null), then every half-hour with calls, in local time and all days together.
WITH parameters AS (
    SELECT
        'Europe/Prague' AS zone,
        5 AS short_abandon_seconds
),

-- A call has an activity for each agent who had it, and is the same in all of them: the newest has its last state.
incoming AS (
    SELECT *, row_number() OVER (PARTITION BY item_id_call ORDER BY time DESC, activities_name) AS place
    FROM activities_call
    WHERE item_direction = 'in'
),

calls AS (
    SELECT
        -- The loader keeps times in UTC, without a zone.
        coalesce(item_call_time, time) AT TIME ZONE 'UTC' AT TIME ZONE zone AS local_time,
        CASE
            WHEN item_answered THEN 'answered'
            WHEN item_disconnection_cause <> 'abandon' OR item_disconnection_cause IS NULL THEN 'other'
            WHEN item_waiting_time < short_abandon_seconds THEN 'short abandon'
            ELSE 'abandoned'
        END AS outcome,
        item_waiting_time AS waited,
        item_missed_call AS missed
    FROM incoming
    CROSS JOIN parameters
    WHERE place = 1
),

offered AS (
    SELECT *, CAST(time_bucket(INTERVAL '30 minutes', local_time) AS TIME) AS half_hour FROM calls
)

SELECT
    half_hour,
    min(CAST(local_time AS DATE)) AS first_day,
    max(CAST(local_time AS DATE)) AS last_day,
    count(*) AS offered,
    count(*) FILTER (WHERE outcome = 'answered') AS answered,
    count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
    count(*) FILTER (WHERE outcome = 'short abandon') AS short_abandons,
    count(*) FILTER (WHERE outcome = 'other') AS not_answered_otherwise,
    1.0 * count(*) FILTER (WHERE outcome = 'abandoned')
    / nullif(count(*) FILTER (WHERE outcome <> 'short abandon'), 0) AS abandoned_share,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN outcome = 'abandoned' THEN waited END)
        AS median_wait_of_abandoned_seconds,
    count(*) FILTER (WHERE missed = 1) AS to_call_back,
    count(*) FILTER (WHERE missed = 0) AS called_back
FROM offered
GROUP BY GROUPING SETS ((half_hour), ())
ORDER BY half_hour NULLS FIRST;
