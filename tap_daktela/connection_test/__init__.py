"""`--test`: check whether each stream can be read, and compare the API with the tap's definitions.

The modules, from the whole to a part:

    checkup.py        all instances and streams, and the exit code
    stream_check.py   one stream of one instance
    drift.py          differences between rows and definitions
"""
