"""Programs that write the generated parts of the repository: `make generate` runs all of them."""
