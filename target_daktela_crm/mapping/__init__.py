"""Mapping a CRM's records to Daktela's companies and contacts.

From the configuration to a single value:

    preset.py, presets/              the mapping of each CRM, as data, with the user's changes
    compiler.py, compiled.py         that data -> compiled mappings of streams
    roles.py                         records -> companies, contacts, links and custom values
    field_values.py                  the fields of companies and contacts, such as phone numbers
    native.py                        records that already have the shape of the sync request
    expressions.py, functions.py     JMESPath with functions of our own
    column_reader.py                 the columns of a record, and the last known values of those that are missing
    columns.py                       where a column may be in a record
    phone_numbers.py                 the phone numbers in a text
    email_addresses.py               the e-mail addresses in a text
    left_out.py                      counts of invalid phone numbers and e-mail addresses
    values.py                        ids, texts, flags and times
"""
