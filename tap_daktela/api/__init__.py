"""Daktela over HTTP, with no Singer in it: addresses, sign-in, requests, answers.

This is all that `target_daktela_crm` may import of the tap, and it imports nothing of Singer itself; the
linter holds both. Read it in the order of a request:

    address.py   URL of an instance, and which origins may be told a token
    auth.py      token or sign-in
    query.py     fields, filter, sort and page of a list request
    client.py    one request with its retries
    verdict.py   what to do about an answer
    envelope.py  an answer's rows, total and clock
    rows.py      rows as objects, of the fields asked for
    unread.py    an answer that waits to be read
    command.py   how a command ends that cannot go on
"""
