"""A Singer tap for Daktela: every call, e-mail, chat and ticket, once per key and without a silent gap."""
