"""`--status`: what the store contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.target_daktela_crm.running import (
    Crm,
    company,
    contact,
    feed,
    run_target,
)

if TYPE_CHECKING:
    from tests.simulator import Simulator


def test_status_shows_what_the_store_contains(crm: Crm, instance: Simulator) -> None:
    instance.sync_poison = {"8"}
    crm.run(feed(company(1), contact(7, of=1), contact(8, of=1), contact(9, of=99)))
    settings = {name: crm.settings[name] for name in ("url", "store_path")}

    run = run_target(settings, b"", "--status")

    assert run.code == 0
    told = dict(line.split("  ", 1) for line in run.output.splitlines())
    told = {name: value.strip() for name, value in told.items()}
    assert told["runs"] == "1"
    assert told["companies"] == "1"
    assert told["contacts"] == "3"
    assert told["contacts to be sent"] == "1"
    assert told["contacts on hold"] == "1"
    assert told["rejects"].startswith("1 line")
    assert "1 contact" in told["last delivery"]
    assert told["staged"] == "nothing"
    crm.run(feed(contact(7, of=1)), load_mode="full", delete_missing=True)
    assert "not delivered" in run_target(settings, b"", "--status").output
