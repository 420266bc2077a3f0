"""Read one stream of one instance: what to request, from which time to which, and what was missing.

The modules, in the order of a run:

    stream_reader.py      one stream of one instance, from its bookmark to the end
    instance.py           one instance during a run
    server_clock.py       its clock and its time zone
    requested_fields.py   the fields to request
    optional_fields.py    which optional fields the instance refuses
    permissions.py        missing permissions, explained
    failures.py           what could not be read
    run_metrics.py        what the run cost
"""
