"""Fetch a range of time or a whole list in pages, without losing rows that other requests move.

    pages.py           the loop: requests pages according to a plan, and yields batches of rows
    plan.py            what both plans share
    window_plan.py     the plan for a range of time
    name_plan.py       the plan for a whole list
    windows.py         windows of local time
    fetcher.py         a bounded pool of concurrent requests
    smaller_pages.py   repeats a request with fewer rows if the page is too large for the server

The plans perform no I/O.
"""
