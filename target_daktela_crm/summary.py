"""The summary of a run: text for people, and an object for structured logs."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tap_daktela.cli.progress import log_summary
from target_daktela_crm.entities import NamedCount
from target_daktela_crm.mapping.left_out import MAX_EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from target_daktela_crm.delivery.rejects import Rejects
    from target_daktela_crm.delivery.sender import DeliveryCounts

logger = logging.getLogger("target-daktela-crm")

_WIDTH = 14


@dataclass
class Summary:
    """The counts of one run."""

    title: str = "Sync"
    received: Counter[str] = field(default_factory=Counter)
    """Number of records by stream."""
    unmapped: Counter[str] = field(default_factory=Counter)
    """Number of records by stream, of streams that are not mapped."""
    passed_over: int = 0
    """Number of records of mapped streams that the conditions (`when`) exclude."""
    withdrawn: NamedCount = field(default_factory=NamedCount)
    """Companies and contacts that earlier runs did not deliver, and that `when` excludes now."""
    forgotten: NamedCount = field(default_factory=NamedCount)
    """Companies and contacts that Daktela refused earlier, and that the full load does not contain any more."""
    states: Mapping[str, int] = field(default_factory=dict)
    """Numbers of companies and contacts: `changed`, `unchanged`, `on_hold`, `deleted`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Numbers of invalid phone numbers and e-mail addresses, by kind."""
    examples_left_out: Mapping[str, list[str]] = field(default_factory=dict)
    """Ids of some of the contacts that these belong to, by kind."""
    examples_on_hold: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_dry: bool = False
    """Whether requests are written to a folder instead of being sent."""
    seconds: float = 0.0

    def records(self, stream: str) -> int:
        """Return the number of records of a stream, mapped or not."""
        return self.received[stream] + self.unmapped[stream]


def write_summary(summary: Summary, counts: DeliveryCounts, rejects: Rejects) -> None:
    """Write the summary as text to standard error, and as an object to structured logs."""
    log_summary(logger, as_text(summary, counts, rejects), as_object(summary, counts, rejects))


def as_object(summary: Summary, counts: DeliveryCounts, rejects: Rejects) -> dict[str, Any]:
    """Return the summary as plain data."""
    return {
        "received": dict(summary.received),
        "ignored": dict(summary.unmapped),
        "passed_over": summary.passed_over,
        "withdrawn": {"count": summary.withdrawn.total, "ids": list(summary.withdrawn.examples)},
        "forgotten": {"count": summary.forgotten.total, "ids": list(summary.forgotten.examples)},
        **{name: summary.states.get(name, 0) for name in ("changed", "unchanged", "on_hold", "deleted")},
        "rejected": {
            reason: {"count": count, "ids": rejects.examples[reason]}
            for reason, count in rejects.reasons.most_common()
        },
        "left_out": dict(summary.left_out),
        "left_out_ids": dict(summary.examples_left_out),
        "delivered": {"companies": counts.companies, "contacts": counts.contacts},
        "delivered_of_earlier_runs": {
            "companies": counts.earlier_companies,
            "contacts": counts.earlier_contacts,
        },
        "dry_run": summary.is_dry,
        "requests": counts.requests,
        "retries": counts.retries,
        "accepted": counts.accepted,
        "bytes": counts.bytes,
        "seconds": round(summary.seconds, 1),
        "notes": summary.notes,
    }


def as_text(summary: Summary, counts: DeliveryCounts, rejects: Rejects) -> str:
    """Return the summary as lines of text, without a line break at the end."""
    title = f"{summary.title} (dry run: nothing is sent)" if summary.is_dry else summary.title
    lines = [*_input_lines(summary), *_reject_lines(rejects), *_output_lines(summary, counts)]
    return "\n".join([title, *lines, *(_line("note", note) for note in summary.notes)])


def _input_lines(summary: Summary) -> Iterator[str]:
    states = summary.states
    if not states:
        return
    yield _line("received", _list(summary.received) or "nothing")
    if summary.unmapped:
        yield _line("ignored", f"{_list(summary.unmapped)}: not in the mapping")
    if summary.passed_over:
        yield _line(
            "excluded", f"{pluralize(summary.passed_over, 'record')} by the conditions (when) of the mapping"
        )
    if summary.withdrawn.total:
        withdrawn = named(*summary.withdrawn)
        yield _line(
            "withdrawn", f"{withdrawn} not delivered by earlier runs: the conditions (when) exclude them now"
        )
    if summary.forgotten.total:
        forgotten = named(*summary.forgotten)
        yield _line("forgotten", f"{forgotten} that Daktela refused earlier: the full load does not have them")
    yield _line("changed", f"{states['changed']:,} of the companies and contacts received")
    yield _line("unchanged", f"{states['unchanged']:,}")
    if states["deleted"]:
        contacts = pluralize(states["deleted"], "contact")
        yield _line("deleted", f"{contacts} in the CRM; in Daktela only by a load with delete")
    if states["on_hold"]:
        contacts = pluralize(states["on_hold"], "contact")
        more = ", …" if states["on_hold"] > len(summary.examples_on_hold) else ""
        examples = ", ".join(summary.examples_on_hold)
        yield _line("on hold", f"{contacts} until the company is known ({examples}{more})")


def _reject_lines(rejects: Rejects) -> Iterator[str]:
    if not len(rejects):
        return
    yield _line("rejected", f"{len(rejects):,}, in {rejects.path}")
    for reason, count in rejects.reasons.most_common():
        examples = rejects.examples[reason]
        ids = ", ".join(dict.fromkeys(examples))
        yield _line("", f"{count:,} x {reason} ({ids}{', …' if count > len(examples) else ''})")


def _left_out_lines(summary: Summary) -> Iterator[str]:
    name = "left out"
    for kind, count in summary.left_out.items():
        examples = summary.examples_left_out.get(kind, [])
        more = ", …" if len(examples) == MAX_EXAMPLES and count > MAX_EXAMPLES else ""
        yield _line(name, f"{pluralize(count, f'invalid {kind}')} ({', '.join(examples)}{more})")
        name = ""


def _output_lines(summary: Summary, counts: DeliveryCounts) -> Iterator[str]:
    yield from _left_out_lines(summary)
    contacts = pluralize(counts.contacts, "contact")
    companies = pluralize(counts.companies, "company", "companies")
    earlier = _earlier(counts)
    yield _line("would deliver" if summary.is_dry else "delivered", f"{contacts}, {companies}{earlier}")
    requests = pluralize(counts.requests, "request")
    if counts.accepted != counts.requests:
        requests += f" ({counts.accepted:,} accepted)"
    if counts.retries:
        requests += f", {pluralize(counts.retries, 'retry', 'retries')}"
    sent = f"{requests}, {counts.bytes:,} bytes, {summary.seconds:.1f} s"
    yield _line("written" if summary.is_dry else "sent", sent)


def _earlier(counts: DeliveryCounts) -> str:
    """Return how many of the delivered companies and contacts only earlier runs have received."""
    contacts = pluralize(counts.earlier_contacts, "contact") if counts.earlier_contacts else ""
    companies = pluralize(counts.earlier_companies, "company", "companies") if counts.earlier_companies else ""
    parts = " and ".join(filter(None, (contacts, companies)))
    return f"; of these, {parts} received by earlier runs" if parts else ""


def named(count: int, examples: Sequence[str]) -> str:
    """Return a number, with some of the ids that it counts."""
    more = ", …" if count > len(examples) else ""
    return f"{count:,} ({', '.join(examples)}{more})" if examples else f"{count:,}"


def _line(name: str, text: str) -> str:
    return f"  {name:<{_WIDTH}}{text}"


def _list(records: Counter[str]) -> str:
    if not records:
        return ""
    names = ", ".join(f"{name} {count:,}" for name, count in records.items())
    return f"{pluralize(records.total(), 'record')} ({names})"


def pluralize(count: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun, whose plural ends in `s` unless it is given."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"
