-- Question: How much of their time do agents spend on calls?
-- Definition: Occupancy is talk and wrap-up time as a share of the time for which an agent is there. Talk is the
--   duration of the activities of calls, wrap-up their work before and after. Both belong to the agent of the activity,
--   so that each agent has a part of a call that was passed on. Other channels stand beside them, as other work. All
--   work is counted on the local day on which its activity was closed.
-- Unknown: When agents were logged in, ready or in a pause: no table has that. In its place stands, for each agent and
--   day, the time from the opening of the first activity to the closing of the last one, wrap-up included. It lacks the
--   waiting before and after, which makes the shares too high, and has the pauses, which makes them too low. A shift
--   over midnight is two days. Of chats side by side each counts in full, so that the shares can exceed 100%.
-- Reads: activities
-- Rows: All agents first, then each agent, the most occupied first. Activities that are open, that were never opened or
--   that have no agent are left out.
WITH parameters AS (
    SELECT 'Europe/Prague' AS zone
),

work AS (
    SELECT
        user_name,
        user_title,
        coalesce(type, '') = 'CALL' AS is_call,
        coalesce(duration, 0) AS worked,
        coalesce(baw, 0) + coalesce(aaw, 0) AS wrap_up,
        time_open - CAST(coalesce(baw, 0) AS BIGINT) * INTERVAL '1 second' AS began,
        time_close + CAST(coalesce(aaw, 0) AS BIGINT) * INTERVAL '1 second' AS ended,
        -- The loader keeps times in UTC, without a zone.
        CAST(time_open AT TIME ZONE 'UTC' AT TIME ZONE zone AS DATE) AS first_day,
        CAST(time_close AT TIME ZONE 'UTC' AT TIME ZONE zone AS DATE) AS last_day
    FROM activities
    CROSS JOIN parameters
    WHERE user_name IS NOT NULL AND time_open IS NOT NULL AND time_close IS NOT NULL
),

-- When an agent is known to have been there, and what was done by then.
moments AS (
    SELECT user_name, user_title, first_day AS day, began AS moment, 0 AS talk, 0 AS wrap_up, 0 AS other FROM work
    UNION ALL
    SELECT
        user_name,
        user_title,
        last_day,
        ended,
        CASE WHEN is_call THEN worked ELSE 0 END,
        CASE WHEN is_call THEN wrap_up ELSE 0 END,
        CASE WHEN is_call THEN 0 ELSE worked + wrap_up END
    FROM work
),

agent_days AS (
    SELECT
        user_name,
        max(user_title) AS user_title,
        day,
        extract(epoch FROM max(moment) - min(moment)) / 3600.0 AS present_hours,
        sum(talk) / 3600.0 AS talk_hours,
        sum(wrap_up) / 3600.0 AS wrap_up_hours,
        sum(other) / 3600.0 AS other_hours
    FROM moments
    GROUP BY user_name, day
)

SELECT
    user_name AS agent_name,
    CASE WHEN grouping(user_name) = 1 THEN 'all agents' ELSE coalesce(max(user_title), user_name) END AS agent,
    count(*) AS days,
    sum(present_hours) AS present_hours,
    sum(talk_hours) AS talk_hours,
    sum(wrap_up_hours) AS wrap_up_hours,
    sum(other_hours) AS other_hours,
    sum(talk_hours) / nullif(sum(present_hours), 0) AS talk_share,
    sum(wrap_up_hours) / nullif(sum(present_hours), 0) AS wrap_up_share,
    sum(other_hours) / nullif(sum(present_hours), 0) AS other_share,
    (sum(talk_hours) + sum(wrap_up_hours)) / nullif(sum(present_hours), 0) AS occupancy
FROM agent_days
GROUP BY GROUPING SETS ((user_name), ())
ORDER BY grouping(user_name) DESC, occupancy DESC NULLS LAST, user_name;
