"""Sending stored companies and contacts to Daktela.

In the order of the data:

    sender.py                        sends requests, and searches what is refused
    batching.py                      stored JSON -> requests
    endpoint.py, dry_run.py          where requests are sent: to Daktela, or to files
    rejects.py                       the file of rejected records
"""
