"""Mappings for the taps of known CRMs, as data: a file for each CRM, read by `mapping.py`."""
