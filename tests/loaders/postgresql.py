"""A PostgreSQL server of the tests' own: a new cluster in a temporary folder, reachable by a Unix socket only.

The programs of the server come from the operating system. `Missing` is raised, with the reason, if there are none.
Databases are read with `psql`, so that nothing of a loader or of its driver takes part in the comparison.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SUPERUSER = "daktela"
_FOLDERS = "/usr/lib/postgresql/*/bin"
"""Where Debian and Ubuntu keep the programs of each version."""
_UNPRIVILEGED = ("postgres", "nobody")
_START_SECONDS = 60


class MissingError(Exception):
    """PostgreSQL is not installed; the message names what is missing."""


@dataclass(frozen=True)
class Database:
    """A database of the server."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        """The URL for SQLAlchemy, with the driver of target-postgres."""
        return f"postgresql+psycopg://{SUPERUSER}@/{self.name}?host={self.server.folder}"

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query, in UTC: values as PostgreSQL writes them in JSON."""
        lines = self.server.psql(self.name, f"SELECT row_to_json(answer) FROM ({query}) AS answer")  # noqa: S608
        return [json.loads(line) for line in lines.split("\n") if line]

    def tables(self, schema: str) -> set[str]:
        """Return the names of the tables of a schema."""
        found = self.rows(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")  # noqa: S608
        return {row["tablename"] for row in found}


@dataclass(frozen=True)
class Server:
    """A running server."""

    folder: Path
    """The folder of its socket."""
    programs: Path

    def create_database(self, name: str, *, timezone: str = "UTC") -> Database:
        """Return a new database whose sessions have a time zone."""
        self.psql("postgres", f"CREATE DATABASE {name}")
        self.psql("postgres", f"ALTER DATABASE {name} SET timezone TO '{timezone}'")
        return Database(self, name)

    def psql(self, database: str, command: str) -> str:
        """Return the output of a command of SQL.

        Raises:
            CalledProcessError: the command failed.
        """
        return subprocess.run(
            [
                *(self.programs / "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
                *("--set", "ON_ERROR_STOP=1", f"--host={self.folder}", f"--username={SUPERUSER}"),
                *(f"--dbname={database}", f"--command={command}"),
            ],
            env={"PGTZ": "UTC", "PGCLIENTENCODING": "UTF8", "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            check=True,
            encoding="utf-8",
        ).stdout


def find_programs() -> Path:
    """Return the folder with the server's programs, those of the newest version.

    Raises:
        MissingError: there is none.
    """
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/").glob(_FOLDERS.lstrip("/")), key=_version, reverse=True)
    for folder in folders:
        if all((folder / program).exists() for program in ("initdb", "postgres", "psql")):
            return folder
    raise MissingError(f"the programs initdb, postgres and psql are neither on the PATH nor in {_FOLDERS}")


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0


@contextmanager
def serve() -> Iterator[Server]:
    """Run a server.

    Raises:
        MissingError: PostgreSQL is not installed.
    """
    programs = find_programs()
    user = _user()
    # Not in a folder of pytest: the server's user has no access to those, and the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        if user is not None:
            shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
        data = folder / "data"
        subprocess.run(
            [
                *(programs / "initdb", "--no-sync", "--auth=trust", f"--username={SUPERUSER}"),
                *("--no-locale", "--encoding=UTF8", f"--pgdata={data}"),
            ],
            **_as(user),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with _started(programs, data, user):
            yield Server(folder, programs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(programs: Path, data: Path, user: str | None) -> Iterator[None]:
    log = data.parent / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [
                *_end_with_parent(),
                *(programs / "postgres", "-D", data, "-k", data.parent),
                *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "log_timezone=UTC"),
            ],
            **_as(user),
            cwd=data.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _wait(Server(data.parent, programs), process, log)
            yield
        finally:
            # A fast shutdown, which ends all sessions.
            process.send_signal(signal.SIGINT)
            process.wait()


def _end_with_parent() -> list[str]:
    """Return a command that runs another one, and ends it when the tests are killed; empty where there is none."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    ready = [str(server.programs / "pg_isready"), "--quiet", f"--host={server.folder}"]
    while subprocess.run(ready, check=False).returncode:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def _user() -> str | None:
    """Return the user to run the server as, None for the own one: the server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in known)


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
