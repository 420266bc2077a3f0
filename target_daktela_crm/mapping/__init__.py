"""Mapping a CRM's records to Daktela's companies and contacts.

From the configuration to a single value:

    preset.py, presets/              the mapping of each CRM, as data, with the user's changes
    compiler.py                      that data -> compiled stream mappings
    roles.py                         records -> companies, contacts, links and values
    native.py                        records that already have the shape of the sync request
    expressions.py, functions.py     JMESPath with functions of our own
    columns.py                       where a column may stand in a record
    values.py                        ids, texts, flags, times, phone numbers and e-mail addresses
"""
