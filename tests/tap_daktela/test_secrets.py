"""T6: no secret in logs, messages, state, error texts or URLs; a token goes to its own origin only."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from typing_extensions import override

from tests.processes import running
from tests.simulator import Fault, Simulator, generate
from tests.tap_daktela.quick import main
from tests.tap_daktela.running import Run, run_command, run_tap, settings

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "tops3cret-Passw0rd"
TOKEN = "feedfacefeedfacefeedfacefeedfacefeedface"
DEBUG = {"TAP_DAKTELA_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}


def leaks(run: Run, simulator: Simulator, secrets: list[str]) -> list[str]:
    """Return where any of `secrets` shows."""
    places = {"log": run.log, "messages": json.dumps(run.messages)}
    places |= {f"url {request.target}": request.target for request in simulator.requests}
    return [f"{secret} in {place}" for place, text in places.items() for secret in secrets if secret in text]


@pytest.mark.parametrize("faults", [[], ["500", "401", "reset", "no-result", "redirect", "400"]])
@pytest.mark.promise("T6")
def test_no_secret_shows_anywhere_at_debug_level(faults: list[str]) -> None:
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


@pytest.mark.promise("T6")
def test_a_static_token_shows_nowhere_either() -> None:
    with Simulator(generate(activities=100, tickets=20, seed=1), access_token=TOKEN) as simulator:
        run = run_tap(settings(simulator), environment=DEBUG)
    assert run.code == 0
    assert not leaks(run, simulator, [TOKEN])
    assert all(
        request.headers.get("x-auth-token", request.headers.get("X-AUTH-TOKEN")) == TOKEN
        for request in simulator.requests
    )


ECHO = "Simulated: {token} and {password} are wrong"
ECHOES = ("400", "500", "error-200", "403-html")


@pytest.mark.parametrize("endpoint", ["login", "whoim", "tickets"])
@pytest.mark.parametrize("kind", [*ECHOES, "redirect"])
@pytest.mark.promise("T6")
def test_a_secret_that_the_server_repeats_shows_nowhere(kind: str, endpoint: str) -> None:
    """The reason of the server is told all the same."""
    fault = Fault(kind, endpoint, times=None, message=ECHO, location="http://{token}.example")
    with Simulator(generate(activities=20, tickets=20, seed=1), password=PASSWORD, faults=[fault]) as simulator:
        config = {"url": simulator.url, "server": "acme", "username": "robot", "password": PASSWORD}
        run = run_tap(config, environment=DEBUG)
        issued = list(simulator.tokens.by_access)
    assert run.code == (0 if (kind, endpoint) == ("400", "whoim") else 1)
    assert fault.fired
    secrets = {spelled for secret in (PASSWORD, *issued) for spelled in (secret, secret.upper(), quote(secret))}
    assert not leaks(run, simulator, sorted(secrets))
    if kind != "redirect" and run.code:
        assert any("Simulated: " in line and "***" in line for line in run.errors), run.errors


@pytest.mark.promise("T6")
def test_a_static_token_that_the_server_repeats_shows_nowhere() -> None:
    faults = [Fault("error-200", "tickets", times=None, message="no token like {token}")]
    with Simulator(generate(activities=20, tickets=20, seed=1), access_token=TOKEN, faults=faults) as simulator:
        run = run_tap(settings(simulator), environment=DEBUG)
    assert "answered 200 with an error: no token like ***" in run.errors[0]
    assert not leaks(run, simulator, [TOKEN])


@pytest.mark.promise("T6")
def test_a_message_is_redacted_before_it_is_shortened() -> None:
    """Otherwise a part of the secret would be left at its end."""
    faults = [Fault("400", "groups", times=None, message=f"{'x' * 270}{{token}}")]
    with Simulator(generate(activities=20, tickets=20, seed=1), access_token=TOKEN, faults=faults) as simulator:
        run = run_tap(settings(simulator), environment=DEBUG)
    assert "***" in run.errors[0]
    assert TOKEN[:4] not in run.log.replace("***", "")


@pytest.mark.promise("T6")
def test_a_word_is_redacted_before_the_message_is_shortened() -> None:
    fault = Fault("400", "login", times=None, message=f"{'x ' * 144}{{password}}")
    with Simulator(generate(activities=20, tickets=20, seed=1), password="hushhush", faults=[fault]) as simulator:
        config = {"url": simulator.url, "server": "acme", "username": "robot", "password": "hushhush"}
        run = run_tap(config, environment=DEBUG)
    assert "x ***" in run.errors[0]
    assert "hush" not in run.log


@pytest.mark.promise("T6")
def test_a_secret_in_the_wrong_setting_is_not_repeated() -> None:
    run = run_tap({"url": "http://127.0.0.1:9", "server": f"{TOKEN}!", "access_token": TOKEN}, environment=DEBUG)
    assert run.errors[0].startswith("server: '***!' may contain only letters")
    assert TOKEN not in run.log


@pytest.mark.promise("T6")
def test_the_secrets_of_all_instances_are_known() -> None:
    faults = [Fault("400", "groups", times=None, message=f"{TOKEN} and {PASSWORD}")]
    data = generate(activities=20, tickets=20, seed=1)
    with Simulator(data, faults=faults) as first, Simulator(data.copy(), password=PASSWORD) as second:
        instances = [
            settings(first, server="first"),
            {"url": second.url, "server": "second", "username": "robot", "password": PASSWORD},
            {"url": "http://127.0.0.1:9", "server": "third", "access_token": TOKEN},
        ]
        run = run_tap({"instances": instances}, environment=DEBUG)
    assert any("groups (first): Daktela answered 400: title: *** and ***" in line for line in run.errors), (
        run.errors
    )
    assert not leaks(run, first, [TOKEN, PASSWORD])


@pytest.mark.parametrize("password", ["a", "1", "tickets", "Daktela", "password", "robot"])
@pytest.mark.promise("T6")
def test_a_password_that_is_an_ordinary_word_leaves_messages_readable(password: str) -> None:
    fault = Fault("400", "login", times=None, message="no {password}, sorry")
    with Simulator(generate(activities=20, tickets=20, seed=1), password=password, faults=[fault]) as simulator:
        run = run_tap({"url": simulator.url, "server": "acme", "username": "robot", "password": password})
    assert "does not let the user 'robot' in: check username and password (Daktela" in run.errors[0]
    assert run.errors[0].endswith("answered 400: title: no ***, sorry)")


@pytest.mark.promise("T6")
def test_a_secret_in_a_value_is_data_and_in_a_message_it_is_not() -> None:
    data = generate(activities=20, tickets=20, seed=1)
    ticket, other = data.tables["tickets"][:2]
    ticket["title"], other["edited"] = TOKEN, f"1{TOKEN}"
    with Simulator(data, access_token=TOKEN) as simulator:
        run = run_tap(settings(simulator), environment=DEBUG)
    assert TOKEN not in run.log
    assert TOKEN not in json.dumps([run.states, [*run.schemas.values()]])
    assert any(line.startswith("tickets (acme): the server sent '9aaaaaaaa") for line in run.errors), run.errors


@pytest.mark.promise("T6")
def test_a_configuration_in_place_of_its_path_is_not_repeated() -> None:
    config = json.dumps({"url": "https://acme.daktela.com", "access_token": TOKEN})
    process = run_command(["--config", config])
    assert process.returncode == 1
    assert TOKEN not in process.stderr
    assert "config: give the path of a JSON file, not its content" in process.stderr


@pytest.mark.promise("T6")
def test_structured_logs_hold_no_secret_either(tmp_path: Path) -> None:
    logging_config = tmp_path / "logging.yaml"
    logging_config.write_text(STRUCTURED, encoding="utf-8")
    faults = [Fault("400", "groups", times=None, message=ECHO)]
    with Simulator(generate(activities=20, tickets=20, seed=1), access_token=TOKEN, faults=faults) as simulator:
        run = run_tap(settings(simulator), environment={"SINGER_SDK_LOG_CONFIG": str(logging_config), **DEBUG})
    lines = [json.loads(line) for line in run.log.splitlines() if line.startswith("{")]
    assert any("Simulated: *** and" in str(line["message"]) for line in lines)
    assert TOKEN not in run.log


STRUCTURED = """
version: 1
disable_existing_loggers: false
formatters:
  structured:
    (): singer_sdk.logging.StructuredFormatter
handlers:
  structured:
    class: logging.StreamHandler
    formatter: structured
    stream: ext://sys.stderr
root:
  level: DEBUG
  handlers: [structured]
"""


@pytest.mark.promise("T6")
def test_test_shows_no_secret() -> None:
    faults = [
        Fault(kind, endpoint, times=None, message=ECHO) for kind, endpoint in zip(ECHOES, LISTS, strict=True)
    ]
    with Simulator(generate(activities=20, tickets=20, seed=1), password=PASSWORD, faults=faults) as simulator:
        simulator.dataset.tables["users"][0]["name"] = PASSWORD
        config = {"url": simulator.url, "server": "acme", "username": "robot", "password": PASSWORD}
        with running(main, ["--config", "{folder}/config.json", "--test"], files=_file(config)) as process:
            output = process.output.read().decode() + process.log()
            assert process.wait(60) == 1
        issued = list(simulator.tokens.by_access)
    assert output.count("***") > len(ECHOES)
    assert not [secret for secret in (PASSWORD, *issued) if secret in output]


LISTS = ("tickets", "accounts", "groups", "queues")


def _file(config: dict[str, Any]) -> dict[str, bytes]:
    return {"config.json": json.dumps(config).encode()}


@pytest.mark.parametrize("setting", ["access_token", "password"])
@pytest.mark.promise("T6")
def test_a_wrong_secret_is_not_repeated(setting: str) -> None:
    config: dict[str, Any] = {"url": "http://127.0.0.1:9", "server": "acme", "username": "robot", "password": "x"}
    if setting == "access_token":
        del config["username"], config["password"]
    run = run_tap({**config, setting: {"nested": PASSWORD}}, environment=DEBUG)
    assert run.code == 1
    assert PASSWORD not in run.log
    assert any(setting in line for line in run.errors)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\u00e9", f"{TOKEN} x", f"{TOKEN}\x00"])
@pytest.mark.promise("T6")
def test_a_token_with_a_stray_character_is_not_repeated(token: str) -> None:
    with Simulator(generate(activities=20, tickets=5, seed=1), access_token=TOKEN) as simulator:
        run = run_tap({**settings(simulator), "access_token": token}, environment=DEBUG)
    # A line break at its end is what a file with a secret ends with, and no part of it.
    assert run.code == (0 if token.strip() == TOKEN else 1)
    assert TOKEN not in run.log
    assert "Traceback" not in run.log


@pytest.mark.parametrize("instances", [{"server": "a", "access_token": TOKEN}, [TOKEN], TOKEN])
@pytest.mark.promise("T6")
def test_instances_of_a_wrong_form_are_not_repeated(instances: Any) -> None:
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
@pytest.mark.promise("T6")
def test_redirects_are_not_followed(endpoint: str) -> None:
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
@pytest.mark.promise("T6")
def test_plain_http_is_for_this_machine_only(url: str, *, allow: bool, refused: bool) -> None:
    run = run_tap({"url": url, "server": "acme", "access_token": TOKEN, "allow_http": allow})
    assert run.code == 1
    told = any("plain http" in line for line in run.errors)
    assert told is refused, run.errors


@pytest.mark.promise("T6")
def test_credentials_in_the_url_are_refused_without_being_repeated() -> None:
    run = run_tap({"url": f"https://robot:{PASSWORD}@acme.daktela.com", "access_token": TOKEN})
    assert run.code == 1
    assert PASSWORD not in run.log
    assert any(line.startswith("url: ") for line in run.errors)


@pytest.mark.promise("T6")
def test_about_marks_the_secrets() -> None:
    about = json.loads(run_command(["--about", "--format", "json"]).stdout)
    secret = {name for name, entry in about["settings"]["properties"].items() if entry.get("secret")}
    assert secret == {"access_token", "password"}
