"""Mask texts of records for messages.

Records can be personal data, and more people can read logs than the records. So messages show each letter as `a`
and each digit as `9`: `+420 777 123` becomes `+999 999 999`. This shows the format of a text.
"""

from __future__ import annotations

import re

MAX_LENGTH = 40
"""Maximum characters of a text in a message."""


def mask(text: str) -> str:
    """Return the first 40 characters of `text` with all letters replaced by `a` and all digits by `9`."""
    masked = re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", text[:MAX_LENGTH]))
    return masked if len(text) <= MAX_LENGTH else f"{masked}…"
