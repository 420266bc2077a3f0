"""A small CRM that changes every day, and a tap of it: what the target receives in the model's weeks.

The tap reports what has changed since its state, a stream at a time. Records that vanish are not reported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.target_daktela_crm.running import Message, record, schema

if TYPE_CHECKING:
    from random import Random

STREAMS = ("companies", "contacts")
Row = dict[str, Any]


@dataclass
class World:
    """The CRM and its tap."""

    chance: Random
    is_plain: bool
    """Whether the CRM has neither hidden records nor reports of deleted ones."""
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {"companies": {}, "contacts": {}})
    """What exists, by stream and id."""
    gone: dict[str, set[str]] = field(default_factory=lambda: {"companies": set(), "contacts": set()})
    """Deleted records that the CRM still reports, by stream."""
    log: list[tuple[str, str]] = field(default_factory=list)
    """Stream and id of each change."""
    state: dict[str, int] = field(default_factory=lambda: {"companies": 0, "contacts": 0})
    """How far the tap has read the log."""
    created: int = 0

    # Changes.

    def begin(self) -> None:
        """Create the first companies and contacts."""
        for _ in range(self.chance.randrange(4)):
            self.create_company()
        for _ in range(self.chance.randrange(8)):
            self.create_contact()

    def live_a_day(self) -> None:
        """Let some things happen."""
        changes = (
            *("create_contact", "create_contact", "create_company", "change", "change", "change", "move", "move"),
            *("delete", "vanish", "merge_contacts", "merge_companies", "recreate"),
            *(() if self.is_plain else ("hide", "hide", "show")),
        )
        for _ in range(self.chance.randrange(1, 7)):
            getattr(self, self.chance.choice(changes))()

    def create_company(self) -> str:
        """Create a company, sometimes one that a contact already has."""
        wanted = (
            {row["company_id"] for row in self.rows["contacts"].values()} - self.rows["companies"].keys() - {None}
        )
        key = self.chance.choice(sorted(wanted)) if wanted and self.chance.random() < 0.7 else self._new_id("c")
        self._put("companies", key, {"name": self._name(key)})
        return key

    def create_contact(self) -> None:
        """Create a contact, sometimes before its company."""
        key = self._new_id("p")
        self._put("contacts", key, {"name": self._name(key), "company_id": self._some_company()})

    def change(self) -> None:
        """Change the name of something, sometimes back to its first one."""
        stream = self.chance.choice(STREAMS)
        if (key := self._some(stream)) is not None:
            name = f"{key}, version 0" if self.chance.random() < 0.3 else self._name(key)
            self._put(stream, key, {**self.rows[stream][key], "name": name})

    def move(self) -> None:
        """Move a contact to another company, or to none."""
        if (key := self._some("contacts")) is not None:
            self._put("contacts", key, {**self.rows["contacts"][key], "company_id": self._some_company()})

    def delete(self) -> None:
        """Delete something, which the CRM reports."""
        stream = self.chance.choice(STREAMS)
        if (key := self._some(stream)) is not None:
            self._delete(stream, key)

    def vanish(self) -> None:
        """Delete something, which the CRM does not report."""
        stream = self.chance.choice(STREAMS)
        if (key := self._some(stream)) is not None:
            del self.rows[stream][key]

    def merge_contacts(self) -> None:
        """Merge a contact into another one."""
        one, other = self._some("contacts"), self._some("contacts")
        if one is not None and other is not None and one != other:
            self._put("contacts", other, {**self.rows["contacts"][other], "name": self._name(other)})
            self._delete("contacts", one)

    def merge_companies(self) -> None:
        """Merge a company into another one, with its contacts."""
        one, other = self._some("companies"), self._some("companies")
        if one is not None and other is not None and one != other:
            for key, row in [*self.rows["contacts"].items()]:
                if row["company_id"] == one:
                    self._put("contacts", key, {**row, "company_id": other})
            self._delete("companies", one)

    def recreate(self) -> None:
        """Create something again that was deleted, sometimes with the same content."""
        stream = self.chance.choice(STREAMS)
        lost = sorted({key for name, key in self.log if name == stream} - self.rows[stream].keys())
        if lost:
            key = self.chance.choice(lost)
            row: Row = {"name": self.chance.choice([self._name(key), f"{key}, version 0"])}
            self._put(stream, key, row if stream == "companies" else {**row, "company_id": self._some_company()})

    def hide(self) -> None:
        """Change something so that `when` excludes it."""
        stream = self.chance.choice(STREAMS)
        if (key := self._some(stream)) is not None:
            self._put(stream, key, {**self.rows[stream][key], "name": self._name(key), "hidden": True})

    def show(self) -> None:
        """Change something so that `when` does not exclude it any more."""
        stream = self.chance.choice(STREAMS)
        hidden = sorted(key for key, row in self.rows[stream].items() if row.get("hidden"))
        if hidden:
            key = self.chance.choice(hidden)
            self._put(stream, key, {**self.rows[stream][key], "hidden": False})

    def _put(self, stream: str, key: str, row: Row) -> None:
        self.rows[stream][key] = {"hidden": False, **row}
        self.gone[stream].discard(key)
        self.log.append((stream, key))

    def _delete(self, stream: str, key: str) -> None:
        del self.rows[stream][key]
        if not self.is_plain:
            self.gone[stream].add(key)
            self.log.append((stream, key))

    def _some(self, stream: str) -> str | None:
        return self.chance.choice([*self.rows[stream], None])

    def _some_company(self) -> str | None:
        """Return a company, none, or one that does not exist yet."""
        return self.chance.choice([*self.rows["companies"], None, f"c{self.created + 2}"])

    def _new_id(self, kind: str) -> str:
        self.created += 1
        return f"{kind}{self.created}"

    def _name(self, key: str) -> str:
        return f"{key}, version {len(self.log) if any(key == known for _, known in self.log) else 0}"

    # The tap.

    def changes(self, streams: tuple[str, ...], *, everything: bool = False) -> list[Message]:
        """Return the messages of the tap: what has changed since its state, or all that exists.

        The streams arrive in any order, or mixed. A record that has changed twice may be reported twice.
        """
        messages: list[Message] = []
        for stream in streams:
            keys = {key for name, key in self.log[0 if everything else self.state[stream] :] if name == stream}
            found = [message for key in sorted(keys) if (message := self._record(stream, key)) is not None]
            doubtful = [record(stream, **{**each["record"], "name": "outdated"}) for each in found]
            messages += [each for each in doubtful if self.chance.random() < 0.1 and "gone" not in each["record"]]
            messages += found
        if self.chance.random() < 0.5:
            order = [each["stream"] for each in messages]
            self.chance.shuffle(order)
            by_stream = {name: iter([each for each in messages if each["stream"] == name]) for name in STREAMS}
            messages = [next(by_stream[name]) for name in order]
        state = {**self.state, **dict.fromkeys(streams, len(self.log))}
        return [*(schema(stream) for stream in streams), *messages, {"type": "STATE", "value": state}]

    def _record(self, stream: str, key: str) -> Message | None:
        if key in self.gone[stream]:
            # Such records often lack all other columns.
            more = {"name": "deleted", "hidden": False} if self.chance.random() < 0.5 else {}
            return record(stream, id=key, gone=True, **more)
        row = self.rows[stream].get(key)
        return None if row is None else record(stream, id=key, **row)

    def go_on(self, output: str) -> None:
        """Let the tap continue from the state that the target has written, if it has."""
        for line in output.splitlines():
            self.state = json.loads(line)
