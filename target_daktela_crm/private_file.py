"""Files with personal data: only their owner can read them, and symbolic links are not followed."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODE = 0o600


def open_private(path: Path, flags: int, *, create: bool = True) -> int:
    """Return a descriptor of a file whose mode is 0600; the mode of an existing file is changed.

    A link could lead to a file of something else, whose mode and content would then be changed. Devices and pipes
    keep their mode.

    Raises:
        OSError: the file cannot be opened, is a symbolic link, or belongs to somebody else.
    """
    creation = os.O_CREAT if create else 0
    try:
        file = os.open(path, flags | creation | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    except OSError as error:
        if error.errno == errno.ELOOP and path.is_symlink():
            raise OSError(error.errno, "it is a symbolic link: give the path of the file itself") from None
        raise
    status = os.fstat(file)
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) != _MODE:
        try:
            os.fchmod(file, _MODE)
        except OSError as error:
            os.close(file)
            raise OSError(error.errno, "other users can read it, and it belongs to one of them") from None
    return file
