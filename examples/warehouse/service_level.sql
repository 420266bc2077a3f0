-- Question: Which share of callers is answered in time, queue by queue and half-hour by half-hour?
-- Definition: The service level is the share of offered calls that were answered within 20 seconds of waiting.
--   Offered are all incoming calls, each once, however often it was passed on. Two kinds are left out of the share, and
--   counted beside it: short abandons, whose caller hung up in less than 5 seconds, and answered calls without a
--   waiting time. A call without the mark of an answer is not answered.
-- Unknown: Whether the waiting time includes the ringing at the agent; Daktela does not say. A call that moves to
--   another queue keeps one queue, the one that Daktela has noted in it.
-- Reads: activities_call, queues
-- Rows: All queues first, then each queue: the whole day (half_hour is null), and every half-hour with calls. A queue
--   for incoming calls is there without any, too. Half-hours are of the local day; all days are taken together, and in
--   the autumn both hours from 2 to 3.
WITH parameters AS (
    SELECT
        'Europe/Prague' AS zone,
        20 AS in_time_seconds,
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
        item_id_call AS call_id,
        item_id_queue_name AS queue_name,
        item_id_queue_title AS queue_title,
        -- The loader keeps times in UTC, without a zone.
        coalesce(item_call_time, time) AT TIME ZONE 'UTC' AT TIME ZONE zone AS local_time,
        coalesce(item_answered, FALSE) AS answered,
        item_waiting_time AS waited,
        NOT coalesce(item_answered, FALSE)
        AND coalesce(item_disconnection_cause = 'abandon' AND item_waiting_time < short_abandon_seconds, FALSE)
            AS short_abandon,
        in_time_seconds
    FROM incoming
    CROSS JOIN parameters
    WHERE place = 1
),

offered AS (
    SELECT
        call_id,
        coalesce(queue_name, queues.name) AS queue_name,
        coalesce(queues.title, queue_title) AS queue_title,
        CAST(time_bucket(INTERVAL '30 minutes', local_time) AS TIME) AS half_hour,
        answered,
        answered AND waited <= in_time_seconds AS in_time,
        answered AND waited IS NULL AS without_waiting_time,
        short_abandon
    FROM calls
    FULL JOIN queues ON queues.name = calls.queue_name
    WHERE call_id IS NOT NULL OR (queues.type = 'in' AND NOT coalesce(queues.deactivated, FALSE))
)

SELECT
    queue_name,
    CASE
        WHEN grouping(queue_name) = 1 THEN 'all queues'
        WHEN queue_name IS NULL THEN '(no queue)'
        ELSE coalesce(max(queue_title), queue_name)
    END AS queue,
    half_hour,
    count(call_id) AS offered,
    count(*) FILTER (WHERE answered) AS answered,
    count(*) FILTER (WHERE in_time) AS answered_in_time,
    count(*) FILTER (WHERE short_abandon) AS short_abandons,
    count(*) FILTER (WHERE without_waiting_time) AS without_waiting_time,
    1.0 * count(*) FILTER (WHERE in_time)
    / nullif(count(*) FILTER (WHERE NOT short_abandon AND NOT without_waiting_time), 0) AS service_level
FROM offered
GROUP BY GROUPING SETS ((queue_name, half_hour), (queue_name), ())
-- Without the half-hour of a queue without calls, which is none.
HAVING grouping(half_hour) = 1 OR half_hour IS NOT NULL
ORDER BY grouping(queue_name) DESC, queue_name NULLS LAST, half_hour NULLS FIRST;
