"""A Singer target for Daktela's CRM: the companies and contacts of any CRM.

Read it in the order of the data:

    target.py, sinks.py, reader.py   Singer messages in: the SDK's shell
    settings.py, hours.py            the settings, checked
    preset.py, presets/              what a CRM's tap puts out, as data, and the configuration over it
    mapping.py                       that data -> what the records of each stream are
    entities.py                      records -> companies, contacts, links and values
    native.py                        records that need no mapping
    expressions.py, functions.py,
    columns.py, values.py            what a mapping is made of
    explain.py                       `--explain`: which expression gave which value
    assembly.py                      records whose columns are rows of other streams
    store.py                         what is known, and what Daktela has of it
    joining.py                       which contact belongs to which company
    packing.py                       stored bytes -> request bodies
    delivery.py, rejects.py          request bodies -> POST, and what is refused
    dry_run.py                       request bodies -> files
    run.py, summary.py               one run from its first record to its last request
    deletion.py                      the delivery of a staged load, which deletes
    status.py                        `--status`: what the store knows
"""
