"""A Singer target for Daktela's CRM: the companies and contacts of any CRM. Its code is still to come."""
