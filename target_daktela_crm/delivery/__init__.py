"""Sending stored companies and contacts to Daktela.

In the order of the data:

    batching.py                      stored JSON -> request bodies
    sender.py                        request bodies -> POST requests
    rejects.py                       the file of rejected records
    dry_run.py                       request bodies -> files
"""
