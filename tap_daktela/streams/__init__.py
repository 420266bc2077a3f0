"""The streams as data, and the conversion of values from the API to the types of their columns.

The modules:

    definitions.py     the streams
    fields.py          the types in which they are written
    converters.py      values of the API -> values of records
    datetimes.py       datetimes -> RFC 3339
    catalog_types.py   values of records -> types that the catalog gives to columns
    masking.py         how a value appears in a message
"""
