"""The pipeline from a CRM into Daktela: a CRM tap, Meltano, the target, and the CRM of the simulator.

The final content of Daktela is compared with the files of the CRM. The rules of this comparison do not use code of
the target.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.crm import salesforce as crm
from tests.meltano import PLUGINS_INSTALLED, PipelineError, Project
from tests.simulator import Simulator, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Cells: TypeAlias = dict[str, tuple[Any, ...]]

pytestmark = pytest.mark.skipif(
    not PLUGINS_INSTALLED.exists(), reason="needs Meltano and its plugins: run make test"
)

TAP, TARGET = "tap-crm-replay", "target-daktela-crm"
FULL = {"TARGET_DAKTELA_CRM_LOAD_MODE": "full"}
STAGED = FULL | {"TARGET_DAKTELA_CRM_DELETE_MISSING": "true"}
_NOTHING: dict[str, Any] = {"firstname": None, "lastname": None, "description": None, "fields": []}
BORN = {"id": "contact_born", "name": "Born in Daktela", **_NOTHING}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(generate(activities=0, tickets=0, seed=3)) as simulator:
        simulator.crm.seed(born=[BORN])
        yield simulator


@pytest.fixture
def files(tmp_path: Path) -> dict[str, dict[str, str]]:
    """Return the settings with which the tap replays each file of the CRM."""
    return {name: {"TAP_CRM_REPLAY_PATH": str(path)} for name, path in crm.write(tmp_path).items()}


def test_daktela_has_the_crm_of_each_day(
    simulator: Simulator, files: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    project = Project(tmp_path, simulator.url)
    first = project.run(TAP, TARGET, log="monday", settings=files["monday"])

    assert companies(simulator) == expected_companies(crm.monday())
    assert contacts(simulator) == expected_contacts(crm.monday())
    assert contacts(simulator)[crm.CARELESS][3:] == (["+442079460206"], ["carl.careless@example.org"])
    assert contacts(simulator)[crm.CALLED] == ("Carol", "Called", crm.account_id(7), ["+447700900209"], [])
    assert contacts(simulator)[crm.DIRECTOR][2] == crm.account_id(3)
    assert contacts(simulator)[crm.PERSON_CONTACT][2] is None
    assert contacts(simulator)[crm.RECEPTION][:2] == ("Reception", None)
    assert not {crm.LONG_GONE, crm.EARLY, crm.PERSON} & contacts(simulator).keys()
    assert companies(simulator)[crm.RENAMED][0] == "Brackenfield Dairy"
    assert first.summary["on_hold"] == 1
    assert bookmark(project) == {
        "Contact": crm.MONDAY,
        "Account": crm.MONDAY,
        "AccountContactRelation": crm.MONDAY,
    }

    second = project.run(TAP, TARGET, log="tuesday", settings=files["tuesday"])

    assert companies(simulator) == expected_companies(crm.tuesday())
    # Without `delete`, missing contacts stay.
    assert contacts(simulator) == {
        **expected_contacts(crm.tuesday()),
        **{
            key: cells for key, cells in expected_contacts(crm.monday()).items() if key in (crm.LEAVER, crm.PURGED)
        },
    }
    assert companies(simulator)[crm.RENAMED][0] == "Brackenfield Foods"
    assert contacts(simulator)[crm.CALLED] == ("Carol", "Called", crm.account_id(7), ["+447700900909"], [])
    assert contacts(simulator)[crm.MOVED][2] == crm.account_id(12)
    assert contacts(simulator)[crm.EARLY][2] == crm.LATE_COMPANY
    assert contacts(simulator)[crm.ALICE_OF_RENAMED][2] == crm.RENAMED
    assert second.summary["unchanged"] == 1
    assert sent(simulator, 1) == {crm.CALLED, crm.MOVED, crm.EARLY, crm.NEW_CONTACT, crm.contact_id(215)}
    assert bookmark(project)["Contact"] == crm.TUESDAY


def test_a_full_load_deletes_what_the_crm_has_no_more(
    simulator: Simulator, files: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    # One setting for the loader and for the utility.
    store = tmp_path / "kept" / "crm.sqlite3"
    files = {name: path | {"TARGET_DAKTELA_CRM_STORE_PATH": str(store)} for name, path in files.items()}
    project = Project(tmp_path, simulator.url)

    with pytest.raises(PipelineError) as refused:
        project.run(TAP, TARGET, "daktela-crm:deliver", log="refused", settings=files["monday"] | STAGED)
    assert "this store has no baseline" in str(refused.value)
    assert "--accept-unknown" in str(refused.value)
    assert not simulator.crm.counts.requests

    project.run(TAP, TARGET, log="baseline", settings=files["monday"] | FULL)
    assert contacts(simulator) == expected_contacts(crm.monday())
    assert store.exists()

    staged = project.run(TAP, TARGET, log="staged", settings=files["in-full"] | STAGED)
    assert "of the 119 known ones 2 (" in staged.summary["notes"][0]
    assert ") would be deleted" in staged.summary["notes"][0]
    assert contacts(simulator) == expected_contacts(crm.monday())
    # The environment of the next command contains only the path of the store.
    place = {"TARGET_DAKTELA_CRM_STORE_PATH": str(store)}
    project.call("invoke", "daktela-crm:deliver", "--accept-unknown", log="delivered", settings=place)

    assert contacts(simulator) == expected_contacts(crm.tuesday())
    assert companies(simulator) == expected_companies(crm.tuesday())
    assert not {crm.LEAVER, crm.PURGED} & contacts(simulator).keys()
    assert list(simulator.crm.snapshot()["born"]) == [BORN["id"]]
    assert [body.get("delete") for body in simulator.crm.accepted] == [None, True]

    again = project.run(
        *(TAP, TARGET, "daktela-crm:deliver", "daktela-crm:status"),
        log="again",
        settings=files["in-full"] | STAGED,
    )
    assert [body.get("delete") for body in simulator.crm.accepted] == [None, True, True]
    assert contacts(simulator) == expected_contacts(crm.tuesday())
    status = again.lines("daktela-crm")
    assert f"store {store}" in squeezed(status)
    assert f"contacts {len(expected_contacts(crm.tuesday()))}" in squeezed(status)
    assert any(line.startswith("staged nothing; the load of ") for line in squeezed(status))
    # With delete, no STATE is written: the bookmarks are still those of the load before.
    assert bookmark(project)["Contact"] == crm.MONDAY


# The content of the CRM.


def expected_companies(source: crm.Crm) -> Cells:
    """Return name, description and numbers of the expected companies."""
    return {
        key: (record["Name"], record["Description"], [dialled(record["Phone"])])
        for key, record in source["Account"].items()
        if not record["IsPersonAccount"] and not record["IsDeleted"]
    }


def expected_contacts(source: crm.Crm) -> Cells:
    """Return names, company, numbers and e-mails of the expected contacts."""
    known = expected_companies(source)
    return {
        key: (
            record["FirstName"],
            None if record["LastName"] == "[not provided]" else record["LastName"],
            None if record["IsPersonAccount"] else record["AccountId"],
            sorted({dialled(text) for text in (record["Phone"], record["MobilePhone"]) if text}),
            [record["Email"].strip().lower()] if record["Email"] else [],
        )
        for key, record in source["Contact"].items()
        if not record["IsDeleted"]
        and (record["AccountId"] in known or record["AccountId"] is None or record["IsPersonAccount"])
    }


def dialled(text: str) -> str:
    """Return a British number with its international prefix."""
    return re.sub("^0", "+44", re.sub("[ ()]", "", text))


# The content of Daktela.


def companies(simulator: Simulator) -> Cells:
    """Return name, description and numbers of the companies in Daktela."""
    found = simulator.crm.snapshot()["companies"]
    return {key: (each["name"], each["description"], values(each, "number")) for key, each in found.items()}


def contacts(simulator: Simulator) -> Cells:
    """Return names, company, numbers and e-mails of the contacts in Daktela that came from the CRM."""
    found = simulator.crm.snapshot()["contacts"]
    return {
        key: (
            *(each["firstname"], each["lastname"], each["company"]),
            *(sorted(values(each, "number")), values(each, "email")),
        )
        for key, each in found.items()
    }


def values(entry: dict[str, Any], field: str) -> list[str]:
    """Return the values of a field."""
    return [value for each in entry["fields"] if each["key"] == field for value in each["value"]]


def sent(simulator: Simulator, request: int) -> set[str]:
    """Return the contacts of one of the accepted requests."""
    body = simulator.crm.accepted[request]
    return {contact["id"] for company in body["data"] for contact in company["contacts"]}


def bookmark(project: Project) -> dict[str, str]:
    """Return the bookmark of each stream of the CRM in the state of Meltano."""
    return {stream: each["SystemModstamp"] for stream, each in project.state(TAP, TARGET).items()}


def squeezed(lines: list[str]) -> list[str]:
    """Return lines without the spaces between columns."""
    return [" ".join(line.split()) for line in lines]
