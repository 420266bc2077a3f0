"""The tap's inputs, checked before the run: settings, catalog, state and stream maps.

The modules:

    settings.py      the settings
    dates.py         start_date and end_date
    files.py         the files with catalog and state
    state.py         the bookmarks of a state
    stream_maps.py   the stream maps, checked and compiled
"""
