"""A client of Daktela's API over HTTP.

Both commands use it. It imports nothing of Singer (`tests/test_imports.py`). In the order of a request:

    address.py              URL of an instance, and the origins that may receive a token
    auth.py                 authentication by static token or login
    query.py                fields, filter, sort and page of a list request
    client.py               one request with its retries
    retry.py                number of retries, and the waits between them
    session.py              proxies, certificates, limits on time and size
    outcome.py              what to do about a response
    connection_errors.py    what to do if there is no response
    envelope.py             rows, total and clock of a response
    rows.py                 rows as objects with the requested fields
    json_text.py            characters that JSON allows and databases do not
    local_time.py           instants in UTC and local times of an instance
    redaction.py            removes secrets from messages
    masked_text.py          shows the format of a text only
"""
