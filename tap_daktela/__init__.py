"""A Singer tap for Daktela: every call, e-mail, chat and ticket, once per key and without a silent gap.

In the order of the data flow:

    __main__.py        the command
    tap.py, stream.py  the SDK's classes
    inputs/            settings, catalog, state and stream maps, checked
    streams/           the streams as data, and the conversion of values
    reading/           one stream of one instance, from its bookmark to the end
    paging/            ranges of time and whole lists -> pages of rows
    api/               a client of Daktela's API
    records/           rows -> records -> Singer messages
    connection_test/   `--test`
    cli/               what both commands share: output, signals, errors, progress
"""
