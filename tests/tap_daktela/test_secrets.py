"""T6: no secret in logs, messages, state, error texts or URLs; a token goes to its own origin only."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any

import pytest
from typing_extensions import override

from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.running import Run, run_command, run_tap, settings

PASSWORD = "tops3cret-Passw0rd"
TOKEN = "feedfacefeedfacefeedfacefeedfacefeedface"
DEBUG = {"TAP_DAKTELA_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}


def leaks(run: Run, simulator: Simulator, secrets: list[str]) -> list[str]:
    """Return where any of `secrets` shows."""
    places = {"log": run.log, "messages": json.dumps(run.messages)}
    places |= {f"url {request.target}": request.target for request in simulator.requests}
    return [f"{secret} in {place}" for place, text in places.items() for secret in secrets if secret in text]


@pytest.mark.parametrize("faults", [[], ["500", "401", "reset", "no-result", "redirect", "400"]])
def test_t6_no_secret_shows_anywhere_at_debug_level(faults: list[str]) -> None:
    endpoints = ("tickets", "accounts", "groups", "queues", "statuses", "templates")
    planned = [Fault(kind, endpoint, times=None) for kind, endpoint in zip(faults, endpoints, strict=False)]
    with Simulator(generate(activities=100, tickets=20, seed=1), password=PASSWORD, faults=planned) as simulator:
        config = {"url": simulator.url, "server": "acme", "username": "robot", "password": PASSWORD}
        run = run_tap(config, environment=DEBUG)
        issued = list(simulator.tokens.by_access)
    assert run.code == (1 if faults else 0)
    assert "DEBUG" in run.log
    assert issued
    assert not leaks(run, simulator, [PASSWORD, *issued])


def test_t6_a_static_token_shows_nowhere_either() -> None:
    with Simulator(generate(activities=100, tickets=20, seed=1), access_token=TOKEN) as simulator:
        run = run_tap(settings(simulator), environment=DEBUG)
    assert run.code == 0
    assert not leaks(run, simulator, [TOKEN])
    assert all(
        request.headers.get("x-auth-token", request.headers.get("X-AUTH-TOKEN")) == TOKEN
        for request in simulator.requests
    )


@pytest.mark.parametrize("setting", ["access_token", "password"])
def test_t6_a_wrong_secret_is_not_repeated(setting: str) -> None:
    config: dict[str, Any] = {"url": "http://127.0.0.1:9", "server": "acme", "username": "robot", "password": "x"}
    if setting == "access_token":
        del config["username"], config["password"]
    run = run_tap({**config, setting: {"nested": PASSWORD}}, environment=DEBUG)
    assert run.code == 1
    assert PASSWORD not in run.log
    assert any(setting in line for line in run.errors)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\u00e9", f"{TOKEN} x", f"{TOKEN}\x00"])
def test_t6_a_token_with_a_stray_character_is_not_repeated(token: str) -> None:
    with Simulator(generate(activities=20, tickets=5, seed=1), access_token=TOKEN) as simulator:
        run = run_tap({**settings(simulator), "access_token": token}, environment=DEBUG)
    # A line break at its end is what a file with a secret ends with, and no part of it.
    assert run.code == (0 if token.strip() == TOKEN else 1)
    assert TOKEN not in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("instances", [{"server": "a", "access_token": TOKEN}, [TOKEN], TOKEN])
def test_t6_instances_of_a_wrong_form_are_not_repeated(instances: Any) -> None:
    run = run_tap({"instances": instances}, environment=DEBUG)
    assert run.code == 1
    assert TOKEN not in run.log
    assert run.errors[0].startswith("instances")


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another origin; notes what it is asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"error":[],"result":{"data":[],"total":0}}')

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize("endpoint", ["tickets", "login", "whoim"])
def test_t6_redirects_are_not_followed(endpoint: str) -> None:
    asked: list[str] = []
    handler = type("Handler", (_Elsewhere,), {"asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{elsewhere.server_address[1]}"
        fault = Fault("redirect", endpoint, times=None, location=origin)
        with Simulator(generate(activities=50, tickets=20, seed=1), faults=[fault]) as simulator:
            config = {"url": simulator.url, "server": "acme"}
            if endpoint == "login":
                run = run_tap({**config, "username": "robot", "password": "secret"})
            else:
                run = run_tap({**config, "access_token": simulator.access_token})
        elsewhere.shutdown()
    assert run.code == 1
    assert fault.fired
    assert not asked
    assert any("redirects to http://127.0.0.1" in line for line in run.errors), run.errors


@pytest.mark.parametrize(
    ("url", "allow", "refused"),
    [
        ("http://daktela.example.com", False, True),
        ("http://192.0.2.1", False, True),
        ("http://127.0.0.1:9", False, False),
        ("http://localhost:9", False, False),
        ("http://[::1]:9", False, False),
    ],
)
def test_t6_plain_http_is_for_this_machine_only(url: str, *, allow: bool, refused: bool) -> None:
    run = run_tap({"url": url, "server": "acme", "access_token": TOKEN, "allow_http": allow})
    assert run.code == 1
    told = any("plain http" in line for line in run.errors)
    assert told is refused, run.errors


def test_t6_credentials_in_the_url_are_refused_without_being_repeated() -> None:
    run = run_tap({"url": f"https://robot:{PASSWORD}@acme.daktela.com", "access_token": TOKEN})
    assert run.code == 1
    assert PASSWORD not in run.log
    assert any(line.startswith("url: ") for line in run.errors)


def test_t6_about_marks_the_secrets() -> None:
    about = json.loads(run_command(["--about", "--format", "json"]).stdout)
    secret = {name for name, entry in about["settings"]["properties"].items() if entry.get("secret")}
    assert secret == {"access_token", "password"}
