"""The streams as data, and the conversion of values of the API to the types of their columns.

The modules:

    definitions.py     the streams
    fields.py          the types of streams and columns
    converters.py      values of the API -> values of records
    datetimes.py       datetimes -> RFC 3339
    catalog_types.py   values of records -> types that the catalog gives to columns
    masking.py         masks values for messages
"""
