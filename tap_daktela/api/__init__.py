"""Daktela over HTTP, and what both commands share, with no Singer in it.

This is all that `target_daktela_crm` may import of the tap, and it imports nothing of Singer itself
(`tests/test_imports.py`). Read it in the order of a request:

    command.py      how a command ends, and its exit code
    signals.py      SIGINT, SIGTERM and SIGHUP
    output.py       standard output, completely or not at all
    json_files.py   configurations and other JSON files
    config.py       the settings that say how an instance is reached
    address.py      URL of an instance, and which origins may be told a token
    auth.py         token or sign-in
    query.py        fields, filter, sort and page of a list request
    client.py       one request with its retries
    retry.py        how often a request is repeated, and the waits
    session.py      proxies, certificates, limits on time and size
    verdict.py      what to do about an answer
    connection_errors.py    what to do if there is no answer
    room.py         the memory in which a body waits
    unread.py       an answer that waits to be read
    envelope.py     an answer's rows, total and clock
    rows.py         rows as objects, of the fields asked for
    characters.py   what JSON may hold and databases do not take
    redaction.py    removes secrets from messages
    progress.py     how far a run has come, for people
"""
