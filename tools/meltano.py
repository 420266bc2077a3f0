"""Write the parts of `meltano.yml` that repeat the code: capabilities, selection and settings of three plugins.

Such a part is between two markers, such as `# <tap-daktela>` and `# </tap-daktela>`. The rest of the file is
written by hand.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from tools.plugins import Definition, as_yaml, definition

FILE = Path(__file__).parents[1] / "meltano.yml"
DELIVERY_SETTINGS = {
    *("url", "server", "access_token", "username", "password", "verify_tls", "allow_http"),
    *("store_path", "rejects_path", "dry_run"),
}
"""The settings that `--deliver` reads from its own configuration and not from the staged load."""
_KEYS = ("description", "capabilities", "select", "settings_group_validation", "settings")


def parts() -> dict[str, Definition]:
    """Return the generated keys of each plugin."""
    found = {name: definition(name) for name in ("tap-daktela", "target-daktela-crm")}
    plugins = {name: {key: entry[key] for key in _KEYS if key in entry} for name, entry in found.items()}
    return {**plugins, "daktela-crm": {"settings": delivery_settings(plugins["target-daktela-crm"]["settings"])}}


def delivery_settings(settings: list[Definition]) -> list[Definition]:
    """Return the settings of the utility.

    They have no defaults, because a default would replace a setting of the staged load.
    """
    own = [entry for entry in settings if entry["name"] in DELIVERY_SETTINGS]
    return [{key: value for key, value in entry.items() if key != "value"} for entry in own]


def filled(text: str) -> str:
    """Return the text of `meltano.yml` with its generated parts.

    Raises:
        ValueError: the file does not have exactly one place for a part.
    """
    for name, content in parts().items():
        lines = textwrap.indent(as_yaml(content), "    ")
        pattern = re.compile(rf"(    # <{name}>.*?\n).*?(    # </{name}>\n)", re.DOTALL)
        text, count = pattern.subn(lambda match, lines=lines: f"{match[1]}{lines}{match[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise ValueError(f"meltano.yml has {count} places for the part of {name}")
    return text


def files() -> dict[Path, str]:
    """Return the text of the file."""
    return {FILE: filled(FILE.read_text(encoding="utf-8"))}
