"""What both commands share apart from HTTP: configuration, files, output, signals, errors and progress.

The modules, in the order of a run:

    errors.py       exceptions that end a command, its last line and its exit code
    signals.py      SIGINT, SIGTERM and SIGHUP
    output.py       standard output, completely or with an error
    json_files.py   configurations, catalogs and states in files
    config.py       the settings for an instance and its connection
    progress.py     progress and summary of a run
"""
