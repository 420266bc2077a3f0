-- Question: How many tickets come back after they were closed?
-- Definition: Of the tickets with a time of closing, those that are open or waiting again, and those that are closed
--   but have a call, e-mail or chat of the customer that is younger than the closing. A call counts if it is incoming,
--   an e-mail if it was received, whatever is in them: a thank-you counts as well. Tickets that were merged into others
--   are left out.
-- Unknown: How often a ticket was opened again: the table has each ticket as it is now, and no history. A ticket that
--   came back and was closed again without anything of the customer after it is not seen, nor is one whose time of
--   closing Daktela has emptied. The column reopen of the table does not help: it is when a ticket is to be opened
--   again, which can lie years ahead, on closed tickets too. Tickets with such a time are counted apart.
-- Reads: tickets, activities_call, activities_email, activities_chat
-- Rows: All categories first, then each one.
WITH as_of AS (
    SELECT max(edited) AS now FROM tickets
),

from_customers AS (
    SELECT ticket_name, time FROM activities_call WHERE item_direction = 'in'
    UNION ALL
    SELECT ticket_name, time FROM activities_email WHERE item_direction = 'in'
    UNION ALL
    SELECT ticket_name, time FROM activities_chat
),

last_from_customers AS (
    SELECT ticket_name, max(time) AS time FROM from_customers GROUP BY ticket_name
),

closed_tickets AS (
    SELECT
        category_name,
        category_title,
        stage IN ('OPEN', 'WAIT') AS open_again,
        stage IN ('CLOSE', 'ARCHIVE') AND coalesce(last_from_customers.time > closed, FALSE) AS contacted_again,
        coalesce(reopen > now, FALSE) AS reopening_planned
    FROM tickets
    CROSS JOIN as_of
    LEFT JOIN last_from_customers ON last_from_customers.ticket_name = tickets.name
    WHERE closed IS NOT NULL AND id_merge_name IS NULL
)

SELECT
    category_name,
    CASE
        WHEN grouping(category_name) = 1 THEN 'all categories'
        WHEN category_name IS NULL THEN '(no category)'
        ELSE coalesce(max(category_title), category_name)
    END AS category,
    count(*) AS closed_tickets,
    count(*) FILTER (WHERE open_again) AS open_again,
    count(*) FILTER (WHERE contacted_again) AS contacted_again,
    1.0 * count(*) FILTER (WHERE open_again) / nullif(count(*), 0) AS open_again_share,
    1.0 * count(*) FILTER (WHERE contacted_again) / nullif(count(*), 0) AS contacted_again_share,
    1.0 * count(*) FILTER (WHERE open_again OR contacted_again) / nullif(count(*), 0) AS came_back_share,
    count(*) FILTER (WHERE reopening_planned) AS reopening_planned
FROM closed_tickets
GROUP BY GROUPING SETS ((category_name), ())
ORDER BY grouping(category_name) DESC, category_name NULLS LAST;
