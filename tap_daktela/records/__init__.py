"""From rows to RECORD messages.

The modules, in the order of the data flow:

    row_mapper.py   rows -> records
    compiler.py     the function that does so, generated for the columns of a stream
    field_tree.py   the columns, at the places of their values in a row
    row_stats.py    what is counted on the way
    writer.py       records -> messages on standard output
    activation.py   whether rows that were not read count as deleted
"""
