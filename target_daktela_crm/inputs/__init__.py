"""The settings of the target, checked before the run.

The modules:

    settings.py       the settings
    paths.py          the paths of the store and of the rejects file
    phone_region.py   the region of national phone numbers

`tap_daktela/cli/config.py` contains the settings of a connection.
"""
