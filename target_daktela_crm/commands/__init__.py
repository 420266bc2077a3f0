"""The commands behind the target's own options.

One module per option:

    deliver.py                       `--deliver`: send the staged full load with `delete`
    explain.py                       `--explain`: show what the mapping makes of records
    status.py                        `--status`: show what the store contains
"""
