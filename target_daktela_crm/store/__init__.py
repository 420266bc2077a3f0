"""The SQLite store, which is kept between runs.

Its modules:

    store.py                         companies and contacts, and what Daktela has of them
    schema.py                        connection, tables and upgrades
    linking.py                       the company of each contact
    staging.py                       what was known before a staged load
    journal.py                       a second file, which shows that the store was put back from a copy
    custom_fields.py                 records whose custom fields are rows of other streams
"""
