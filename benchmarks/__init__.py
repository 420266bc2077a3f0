"""The costs of the commands, relative to limits that are measured in the same run: `make bench`."""
