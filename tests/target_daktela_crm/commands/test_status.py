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
    settings = {name: crm.settings[name] for name in ("url", "server", "store_path")}

    run = run_target(settings, b"", "--status")

    assert run.code == 0
    shown = dict(line.split("  ", 1) for line in run.output.splitlines())
    shown = {name: value.strip() for name, value in shown.items()}
    assert shown["runs"] == "1"
    assert shown["companies"] == "1"
    assert shown["contacts"] == "3"
    assert shown["contacts to be sent"] == "1"
    assert shown["contacts on hold"] == "1"
    assert shown["rejects"].startswith("1 line")
    assert "1 contact" in shown["last delivery"]
    assert shown["staged"] == "nothing"
    crm.run(feed(contact(7, of=1)), load_mode="full", delete_missing=True)
    assert "not delivered" in run_target(settings, b"", "--status").output
