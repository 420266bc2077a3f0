"""T6: no secret in the target's log, summary, rejects and store, even if the server repeats it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulator import Fault
from tests.target_daktela_crm.running import company, contact, encoded, feed, run_target

if TYPE_CHECKING:
    from tests.simulator import Simulator
    from tests.target_daktela_crm.running import Crm

PASSWORD = "tops3cret-Passw0rd"
ECHO = "Simulated: {token} is wrong"
DEBUG = {"TARGET_DAKTELA_CRM_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}


@pytest.mark.parametrize("kind", ["400", "500", "error-200", "403-html"])
@pytest.mark.parametrize("endpoint", ["sync", "login"])
@pytest.mark.promise("T6")
def test_a_secret_that_the_server_repeats_shows_nowhere(
    crm: Crm, instance: Simulator, kind: str, endpoint: str
) -> None:
    instance.password = PASSWORD
    message = ECHO if endpoint == "sync" else "Simulated: {password} is wrong"
    instance.faults.append(Fault(kind, endpoint, times=None, message=message))
    del crm.settings["access_token"]
    settings = {**crm.settings, "username": "robot", "password": PASSWORD, "max_rejects": 100}
    lines = encoded(feed(company(1), contact(7, of=1), contact(8)))
    run = run_target(settings, lines, environment=DEBUG)
    assert run.code == 1
    assert "Simulated: *** is wrong" in run.log
    written = [run.output, run.log, *(path.read_bytes().decode("latin-1") for path in crm.folder.iterdir())]
    secrets = [PASSWORD, *instance.tokens.by_access]
    assert not [secret for secret in secrets for text in written if secret in text]
    if (kind, endpoint) == ("400", "sync"):
        reasons = {reject["reason"] for reject in crm.rejects()}
        assert reasons
        assert all("answered 400: title: Simulated: *** is wrong" in reason for reason in reasons)


@pytest.mark.promise("T6")
def test_a_secret_in_a_rejected_record_is_data(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("400", "sync", times=None, message=ECHO))
    run = crm.run(feed(contact(8, description=f"calls it {instance.access_token}")))
    assert instance.access_token not in run.log
    [reject] = crm.rejects()
    assert instance.access_token in reject["record"]["description"]
    assert "*** is wrong" in reject["reason"]


@pytest.mark.promise("T6")
def test_a_staged_load_keeps_no_secret(crm: Crm, instance: Simulator) -> None:
    run = crm.run(feed(contact(8)), load_mode="full", delete_missing=True)
    assert run.code == 0, run.log
    assert instance.access_token.encode() not in crm.store.read_bytes()


@pytest.mark.parametrize("agent", ["two\nlines", "caf\u00e9", " padded"])
def test_a_user_agent_that_cannot_be_sent_names_its_setting(crm: Crm, agent: str) -> None:
    run = crm.run(feed(contact(8)), user_agent=agent)
    assert run.code == 1
    assert run.errors[0].startswith("user_agent: must be one line of ASCII characters")


def test_a_firewall_s_page_is_not_a_missing_right(crm: Crm, instance: Simulator) -> None:
    instance.faults.append(Fault("403-html", "sync", times=None, message="Access denied"))
    run = crm.run(feed(contact(8)))
    assert run.code == 1
    assert "answered 403 with a web page, 'Access denied', so not Daktela itself but something" in run.errors[-1]
    assert "the account may not use the endpoint" not in run.log
