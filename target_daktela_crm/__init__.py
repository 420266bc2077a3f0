"""A Singer target that loads the companies and contacts of any CRM into Daktela's CRM.

A record passes through these modules from top to bottom:

    __main__.py                      the command, from its first moment
    target.py, reader.py             the SDK's classes: Singer messages
    inputs/                          the checked settings
    business_hours.py                hours in which no full load is sent
    run.py, summary.py               one run, from its first record to its last request
    receiver.py                      record -> mapping -> store
    mapping/                         records -> companies, contacts, links and custom fields
    store/                           what is known of the CRM, and what Daktela has of it
    delivery/                        stored companies and contacts -> requests
    commands/                        `--deliver`, `--explain` and `--status`
    entities.py, exact_json.py       what all of these share: types, and JSON without rounding
    private_file.py                  files that only their owner can read
"""
