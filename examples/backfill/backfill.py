"""Load years of history in slices with Dagster. A slice is one month of one instance.

The settings are in `backfill.toml`, or in the file that the variable BACKFILL names. Each instance has a token in
the environment. Each slice has a state, from which it continues after a failure.
"""

# Dagster evaluates annotations at run time, so there is no `from __future__ import annotations`.
import json
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

SETTINGS = Path(os.environ.get("BACKFILL", Path(__file__).with_name("backfill.toml")))

LAST_ZONE = "Etc/GMT+12"
"""The zone in which a month ends last. Dagster lists a month after that, when it is over at every instance."""


class Pipeline(dg.ConfigurableResource[Any]):
    """A tap and a loader, with a pipe between them."""

    tap: str
    tap_settings: dict[str, Any]
    loader: str
    loader_settings: dict[str, Any]

    def load(self, settings: Mapping[str, Any], streams: Sequence[str], state: Path) -> None:
        """Load `streams`. Start from the file `state` if it exists, and store the reached state in it.

        Raises: dagster.Failure: the streams have not been loaded completely.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            tap = [self.tap, "--config", _written(folder / "tap.json", {**self.tap_settings, **settings})]
            loader = [self.loader, "--config", _written(folder / "loader.json", self.loader_settings)]
            selected = ["--catalog", _written(folder / "catalog.json", _catalog(tap, streams))]
            earlier = ["--state", str(state)] if state.exists() else []
            codes = _pipe([*tap, *selected, *earlier], loader, state)
        if any(codes):
            raise dg.Failure(
                f"tap and loader ended with {codes}, and their logs say why; the next run of the slice goes on "
                f"from {state if state.exists() else 'its beginning'}"
            )


def definitions(settings: Mapping[str, Any]) -> dg.Definitions:
    """Return the definitions for Dagster: an asset for each group of streams, by instance and month."""
    partitions = dg.MultiPartitionsDefinition(
        {
            "instance": dg.StaticPartitionsDefinition(list(settings["instances"])),
            "month": dg.MonthlyPartitionsDefinition(
                settings["start_month"], end_date=settings["end_month"], timezone=LAST_ZONE, fmt="%Y-%m"
            ),
        }
    )
    return dg.Definitions(
        assets=[_asset(name, partitions, settings) for name in settings["assets"]],
        resources={"pipeline": Pipeline(**settings["pipeline"])},
        # The assets of a slice run one after the other. Each slice is a run of its own.
        executor=dg.in_process_executor,
    )


def _asset(
    name: str, partitions: dg.MultiPartitionsDefinition, settings: Mapping[str, Any]
) -> dg.AssetsDefinition:
    @dg.asset(name=name, partitions_def=partitions)
    def load_slice(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
        server, month = context.partition_key.split("|")
        window = context.partition_time_window
        of_slice = {
            **settings["instances"][server],
            "server": server,
            "access_token": _token(server),
            # A date without an offset means midnight in the zone of the instance.
            "start_date": f"{window.start:%Y-%m-%d}",
            "end_date": f"{window.end:%Y-%m-%d}",
            # A slice reads nothing twice. The look-back is for regular runs.
            "lookback_minutes": 0,
        }
        pipeline.load(of_slice, settings["assets"][name], Path(settings["states"], server, f"{month}.{name}.json"))

    return load_slice


def _token(server: str) -> str:
    variable = f"{server.upper().replace('-', '_')}_ACCESS_TOKEN"
    if not os.environ.get(variable):
        raise dg.Failure(f"{variable} is not set: put the token of {server} into it")
    return os.environ[variable]


def _catalog(tap: Sequence[str], streams: Sequence[str]) -> dict[str, Any]:
    """Return the catalog of the tap with `streams` selected, which must all be incremental."""
    discovery = subprocess.run([*tap, "--discover"], stdout=subprocess.PIPE, check=False)
    if discovery.returncode:
        raise dg.Failure("the tap cannot tell its streams, and its log says why")
    catalog: dict[str, Any] = json.loads(discovery.stdout)
    incremental = {entry["tap_stream_id"] for entry in catalog["streams"] if entry.get("replication_key")}
    if unfit := sorted({*streams} - incremental):
        raise dg.Failure(f"only incremental streams have slices: {', '.join(unfit)}")
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return catalog


def _pipe(tap: Sequence[str], loader: Sequence[str], state: Path) -> tuple[int, int]:
    """Run `tap` and `loader`, store each state that the loader confirms, and return their exit codes."""
    with (
        subprocess.Popen(tap, stdout=subprocess.PIPE) as reading,
        subprocess.Popen(loader, stdin=reading.stdout, stdout=subprocess.PIPE) as writing,
    ):
        assert reading.stdout
        assert writing.stdout
        # Close this copy of the pipe, so that the tap gets an error when the loader ends.
        reading.stdout.close()
        try:
            for line in writing.stdout:
                _keep(line, state)
        except BaseException:
            reading.terminate()
            raise
    return reading.returncode, writing.returncode


def _keep(line: bytes, state: Path) -> None:
    """Replace the file in one step, since the machine can fail at any time."""
    state.parent.mkdir(parents=True, exist_ok=True)
    fresh = state.with_suffix(".new")
    fresh.write_bytes(line)
    fresh.replace(state)


def _written(path: Path, content: Mapping[str, Any]) -> str:
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


defs = definitions(tomllib.loads(SETTINGS.read_text(encoding="utf-8")))
