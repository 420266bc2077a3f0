"""From rows to RECORD messages.

The modules, in the order of the data flow:

    table.py, row_mapper.py   rows -> records
    writer.py                 records -> messages on standard output
    activation.py             whether rows that were not read count as deleted
"""
