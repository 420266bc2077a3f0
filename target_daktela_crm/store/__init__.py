"""The SQLite store, which is kept between runs.

Its modules:

    store.py                         companies and contacts, and what Daktela has of them
    schema.py                        connection, tables and upgrades
    linking.py                       the company of each contact
    custom_fields.py                 records whose custom fields are rows of other streams
"""
