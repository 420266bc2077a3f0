"""Removes secrets from texts that are logged, shown or written to a file.

A server may repeat a token or a password in an error message, a header or a page, in another spelling: in upper
case, escaped for a URL, for JSON or for HTML, or in Base64. `register` collects the secrets of a process, when the
configuration is read and whenever an instance issues a token. `redact` replaces them:

- `redact_server_text` where a text from a server becomes part of a message, before the text is shortened;
- `RedactingFormatter`, with which `protect_logs` wraps the formatter of every log handler, in all log lines;
- `echo` in text that does not go through the log.

A password may also be `1`, `test` or `password`. If every such word were replaced, messages would be
unreadable. So there are three classes of secrets:

====================  =============================  =========================================================
strong                at least 8 characters, not     replaced everywhere, also inside a longer word, and where
                      letters only (or at least 16)  at least 12 characters of it remain after truncation
word                  4 to 7 characters, or letters  replaced as a whole word in texts of servers, log lines of
                      only                           other libraries and tracebacks, not in our own messages
short                 up to 3 characters             replaced as a whole word in texts of servers only
====================  =============================  =========================================================

RECORD messages and the `record` of a reject are data and stay as they are, even if a value contains a secret.
"""

from __future__ import annotations

import base64
import html
import logging
import re
import threading
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPLACEMENT = "***"

_STRONG_LENGTH = 8
_STRONG_LETTERS = 16
"""Length from which a secret of letters only is strong; shorter ones may be words."""
_WORD_LENGTH = 4
_PART = 12
"""Characters of a strong secret that are replaced even without the rest of it."""
_PARTS_FROM = 16
"""Length of secrets that are recognized by their parts."""
_MAX_ROUNDS = 4
"""The number of levels that are unescaped."""

_ESCAPE = re.compile(
    r"(?P<percent>(?:%[0-9a-f]{2})+)"
    r"|\\+u(?P<unicode>[0-9a-f]{4}(?:\\+u[0-9a-f]{4})*)"
    r"|\\+x(?P<hex>[0-9a-f]{2})"
    r"|\\+(?P<blank>[nrt])"
    r"|(?P<backslash>\\+)"
    r"|(?P<entity>&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,6});)"
    r"|(?P<plus>\+)",
    re.IGNORECASE,
)
_OWN_LOGGERS = ("tap_daktela", "tap-daktela", "target_daktela_crm", "target-daktela-crm")


class Redactor:
    """Replaces the secrets of a process in texts. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._parts: dict[int, set[str]] = {length: set() for length in range(_STRONG_LENGTH, _PARTS_FROM)}
        """Length -> texts of this length that are replaced everywhere."""
        self._words: tuple[str, ...] = ()
        """Texts that are replaced as whole words, longest first."""

    def register(self, secret: object) -> None:
        """Add a secret; blank texts and other types are ignored."""
        if not isinstance(secret, str) or not secret.strip() or secret in self._known:
            return
        with self._lock:
            self._known.add(secret)
            text = secret.strip()
            forms = {_lower(text), _canonical(text)} - {""}
            if not _is_strong(text):
                self._words = tuple(sorted({*self._words, *forms}, key=len, reverse=True))
                return
            for form in forms | set(_base64_forms(text)):
                length = len(form) if _STRONG_LENGTH <= len(form) < _PARTS_FROM else _PART
                self._parts[length].update(form[place : place + length] for place in range(len(form) - length + 1))

    def redact(self, text: str, *, shortest_word: int | None = None) -> str:
        """Return `text` with `***` in place of secrets.

        Strong secrets are always replaced, the others if they have at least `shortest_word` characters, or not
        at all if it is None. See the docstring of the module.
        """
        words = [word for word in self._words if shortest_word is not None and len(word) >= shortest_word]
        if not words and not any(self._parts.values()):
            return text
        found = [False] * len(text)
        for spelled, spans in _decodings(text):
            for start, end in self._matches(spelled, words):
                first, last = (start, end) if spans is None else (spans[start][0], spans[end - 1][1])
                found[first:last] = [True] * (last - first)
        return _replaced(text, found) if True in found else text

    def _matches(self, text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
        for length, parts in self._parts.items():
            for place in range(len(text) - length + 1) if parts else ():
                if text[place : place + length] in parts:
                    yield place, place + length
        for word in words:
            place = text.find(word)
            while place >= 0:
                end = place + len(word)
                if not (_is_inside(text, place) or _is_inside(text, end)):
                    yield place, end
                place = text.find(word, place + 1)


redactor = Redactor()
"""The secrets of this process. All its instances share them, as they share its log."""


def register(secret: object) -> None:
    """Add a secret of this process."""
    redactor.register(secret)


def redact(text: str) -> str:
    """Return a text of this program without strong secrets."""
    return redactor.redact(text)


def redact_server_text(text: str) -> str:
    """Return a text of a server without any secret."""
    return redactor.redact(text, shortest_word=0)


def echo(text: str, *, err: bool = False) -> None:
    """Print `text` without secrets, to standard error if `err` is true."""
    click.echo(redact(text), err=err)


class RedactingFormatter(logging.Formatter):
    """Formats log records as another formatter does, without secrets."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    @override
    def format(self, record: logging.LogRecord) -> str:
        is_own = record.name.startswith(_OWN_LOGGERS) and not record.exc_info
        text = self._formatter.format(record)
        # The formatter caches the traceback in the record, where other formatters find it.
        record.exc_text = None
        return redactor.redact(text, shortest_word=None if is_own else _WORD_LENGTH)


def protect_logs() -> None:
    """Let all log handlers that exist now write without secrets."""
    loggers: list[Any] = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


def _is_strong(secret: str) -> bool:
    return len(secret) >= (_STRONG_LETTERS if secret.isalpha() else _STRONG_LENGTH)


def _is_inside(text: str, place: int) -> bool:
    """Return whether `place` is between two characters of one word."""
    return 0 < place < len(text) and _is_word(text[place - 1]) and _is_word(text[place])


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _replaced(text: str, found: list[bool]) -> str:
    parts: list[str] = []
    for place, character in enumerate(text):
        if not found[place]:
            parts.append(character)
        elif place == 0 or not found[place - 1]:
            parts.append(REPLACEMENT)
    return "".join(parts)


def _base64_forms(secret: str) -> Iterator[str]:
    """Yield the Base64 encodings of a secret, alone or after other bytes such as a user name, in lower case."""
    content = secret.encode()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).rstrip(b"=")
        # Without the characters that also encode bits of the bytes before or after the secret.
        own = encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6].decode().lower()
        if len(own) >= _PART:
            yield from (own.replace("+", " "), own.replace("+", "-").replace("/", "_"))


# Texts and secrets are brought into one canonical spelling by the same functions.


def _canonical(text: str) -> str:
    """Return a text in lower case, completely unescaped."""
    return [spelled for spelled, _ in _decodings(text)][-1]


def _decodings(text: str) -> Iterator[tuple[str, list[tuple[int, int]] | None]]:
    """Yield `text` in lower case, then with one more level unescaped each time.

    Each comes with the span in `text` of every character, or None if the spans are the places themselves.
    """
    spelled = _lower(text)
    spans: list[tuple[int, int]] | None = None
    yield spelled, spans
    for _ in range(_MAX_ROUNDS):
        decoded, places = _decoded(spelled)
        if decoded == spelled:
            return
        if spans is not None:
            places = [(spans[start][0], spans[end - 1][1]) for start, end in places]
        spelled, spans = decoded, places
        yield spelled, spans


def _lower(text: str) -> str:
    """Return a text in lower case, with the same number of characters."""
    if text.isascii():
        return text.lower()
    # Letters whose lower case has several characters are not changed.
    return "".join(min(each.casefold(), each, key=len) for each in text)


def _decoded(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Return a text with one level unescaped, and the span in `text` of each of its characters."""
    decoded: list[str] = []
    places: list[tuple[int, int]] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        decoded.append(text[end : match.start()])
        places += [(place, place + 1) for place in range(end, match.start())]
        meant = _lower(_unescape(match))
        decoded.append(meant)
        places += [match.span()] * len(meant)
        end = match.end()
    decoded.append(text[end:])
    places += [(place, place + 1) for place in range(end, len(text))]
    return "".join(decoded), places


def _unescape(match: re.Match[str]) -> str:
    """Return the text that an escape stands for."""
    kind, escape = str(match.lastgroup), match[0]
    if kind == "percent":
        content = bytes.fromhex(escape.replace("%", ""))
        return content.decode("utf-8", "ignore") or content.decode("latin-1")
    if kind == "unicode":
        units = bytes.fromhex(re.sub(r"\\+u", "", match[kind]))
        return units.decode("utf-16-be", "ignore")
    if kind == "hex":
        return bytes.fromhex(match[kind]).decode("latin-1")
    if kind == "entity":
        return html.unescape(escape)
    # Backslashes are removed from texts and secrets, and `+` is a blank.
    return "" if kind == "backslash" else " "
