"""A warehouse that `tap-daktela` has filled, asked what a contact-centre lead asks, and the answers on a page."""
