"""What the commands cost, as ratios to limits that are measured in the same run: `make bench`."""
