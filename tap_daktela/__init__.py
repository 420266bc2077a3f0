"""A Singer tap for Daktela: every call, e-mail, chat and ticket, once per key and without a silent gap.

Read it in the order of the data:

    __main__.py              the command, from its first moment
    tap.py, stream.py        settings, catalog and state in: the SDK's shell
    settings.py, inputs.py   the settings, the catalog and the state, checked
    stream_maps.py           the stream maps, checked and compiled
    streams.py, fields.py    what there is to read, as data
    instance.py              one Daktela
    server_clock.py          its clock and its zone, as its responses show them
    state.py                 bookmarks of a state
    sync.py                  one stream of one instance, from its bookmark on
    requested_fields.py,
    optional_fields.py       which fields to request, and which the server refuses
    local_time.py            instants in UTC and local times of an instance
    windows.py               windows of local time
    pages.py, fetch.py       windows -> rows, in order and none of them missing
    window_plan.py,
    name_plan.py, paging.py  the pages to request for that; pure
    smaller_pages.py         pages that are too large for the server
    table.py, shape.py       rows -> records
    converters.py            values of the API -> values of records
    datetimes.py             datetimes -> RFC 3339
    catalog_types.py         values of records -> the types of the catalog
    masking.py               a value of a row in a message
    writer.py                records -> Singer messages
    activation.py            whether rows that were not read count as deleted
    rights.py                what the account may not see
    failures.py              the lines about failures at the end of a run
    costs.py                 what the run cost
    checkup.py, probe.py,
    drift.py                 `--test`: what can be read, and what has changed
    api/                     Daktela over HTTP
"""
