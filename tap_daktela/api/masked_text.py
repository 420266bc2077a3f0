"""How a text of a record is shown in a message.

Records may be personal, and messages end up in logs that more people read than the data. So letters are shown as
`a` and digits as `9`: `+420 777 123` becomes `+999 999 999`. That is enough to recognize the format of a text.
"""

from __future__ import annotations

import re

MAX_LENGTH = 40
"""Characters of a text that are shown."""


def mask(text: str) -> str:
    """Return the first 40 characters of `text` with all letters replaced by `a` and all digits by `9`."""
    masked = re.sub(r"\d", "9", re.sub(r"[^\W\d_]", "a", text[:MAX_LENGTH]))
    return masked if len(text) <= MAX_LENGTH else f"{masked}…"
