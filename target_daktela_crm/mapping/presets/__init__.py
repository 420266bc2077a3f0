"""The mapping of each CRM, one TOML file per CRM."""
