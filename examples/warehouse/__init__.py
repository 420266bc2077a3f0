"""Answer typical questions about a contact centre from a warehouse that `tap-daktela` has filled."""
