"""The tap, and its command.

Discovery needs no connection. If a stream of an instance fails, the others are still read, and then the run ends
with exit code 1. A signal ends the run between two messages, with the state reached so far.
"""

from __future__ import annotations

import copy
import gc
from dataclasses import replace
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click  # noqa: TC002 - the SDK reads the annotations of callbacks
from singer_sdk import Tap
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import ConfigValidationError, MapExpressionError, StreamMapConfigError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.mapper import RemoveRecordTransform
from singer_sdk.plugin_base import SingerCommand
from typing_extensions import override

from tap_daktela.api.redaction import echo
from tap_daktela.api.retry import DEFAULT_RETRIES, RetryPolicy
from tap_daktela.cli.config import given, register_secrets, with_numbers
from tap_daktela.cli.errors import InputError, OneLineErrorCommand, RunError, check_environment
from tap_daktela.cli.json_files import InputFile, read_settings_files
from tap_daktela.cli.progress import reporter
from tap_daktela.cli.signals import Terminated, termination
from tap_daktela.connection_test.checkup import check_up
from tap_daktela.inputs import settings
from tap_daktela.inputs.files import read_catalog, read_state, unknown_streams
from tap_daktela.inputs.state import merge_partitions
from tap_daktela.inputs.stream_maps import StreamMapper, stream_map_problems
from tap_daktela.reading.failures import Failures
from tap_daktela.reading.instance import Instance
from tap_daktela.reading.run_metrics import RunMetrics
from tap_daktela.records.activation import Activation, shared_tables, unread_instances
from tap_daktela.records.writer import PageWriter
from tap_daktela.stream import DaktelaStream
from tap_daktela.streams.definitions import STREAMS
from tap_daktela.streams.fields import SERVER

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.plugin_base import _ConfigInput

    from tap_daktela.streams import fields


_ENVIRONMENT = "ENV"
"""Value of `--config` for settings in the environment."""
_TEST_UNREACHABLE_ATTEMPTS = 2
"""Attempts of `--test` if no connection can be made. They take up to two seconds instead of half a minute."""
_OBJECTS_UNTIL_COLLECTED = 50_000
"""Number of new objects after which Python searches for reference cycles."""


class TapDaktela(Tap):
    """Every call, e-mail, chat and ticket of Daktela contact centres."""

    name = "tap-daktela"
    package_name = "tap-daktela"
    # A copy, because the SDK adds its own settings to it.
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(settings.SCHEMA)
    # Not BATCH, which the SDK claims by default: its batches ignore selection and stream maps.
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.TEST,
        # In the next version of the SDK, this is a capability of all plugins.
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    message_writer_class = PageWriter
    retry_policy: ClassVar[RetryPolicy] = DEFAULT_RETRIES
    """The waits between the attempts of a request. Tests have shorter ones."""
    unreachable_attempts: int | None = None
    """See `RetryPolicy`."""
    clock_tolerance: ClassVar[timedelta] = settings.CLOCK_TOLERANCE
    """By how much the clocks of an instance and of this machine may differ without a warning."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own options
        self._failures = Failures()
        if options.get("parse_env_config"):
            self.append_builtin_config(self.config_jsonschema)
            check_environment(self.config_jsonschema["properties"], self._env_var_prefix, parse_environment_config)
        super().__init__(**options)

    @cached_property
    def settings(self) -> settings.Settings:
        """The checked settings."""
        user_agent = f"{self.name}/{self.plugin_version}"
        retries = replace(self.retry_policy, unreachable_attempts=self.unreachable_attempts)
        return settings.read(self.config, user_agent, retries, self.clock_tolerance)

    @cached_property
    def instances(self) -> dict[str, Instance]:
        """The instances by name, none of them connected yet."""
        for entry in self.settings.instances:
            if entry.address.has_ip_address and entry.server == entry.address.first_label:
                self.logger.warning(
                    "%s: the url has an IP address, so this is the name of the instance in all records. Set "
                    "server to a name, such as acme, before the first load, and keep it",
                    entry.server,
                )
        return {
            entry.server: Instance(entry, self.settings, termination.check) for entry in self.settings.instances
        }

    @cached_property
    def metrics(self) -> RunMetrics:
        """Requests, rows and time of each stream."""
        return RunMetrics(reporter(self.logger))

    @cached_property
    def activation(self) -> Activation:
        """The tables whose version must not be activated."""
        maps = [
            [each.stream_alias for each in of_stream if not isinstance(each, RemoveRecordTransform)]
            for of_stream in self.mapper.stream_maps.values()
        ]
        return Activation(unread_instances(self.state, self.streams, self.instances), shared_tables(maps))

    @override
    def discover_streams(self) -> list[DaktelaStream]:
        """Return all streams, in the order of their declaration."""
        if problems := settings.discovery_problems(self.config, self.config_jsonschema):
            raise InputError(problems)
        extra = settings.extra_fields(self.config)
        servers = settings.servers(self.config)
        prefixes = servers if self.config.get("prefix_stream_names") else []
        names = [(f"{server}_", [server]) for server in prefixes] or [("", servers)]
        return [
            DaktelaStream(
                self,
                self,
                _extended(stream, extra.get(stream.name, ())),
                name=prefix + stream.name,
                servers=own,
            )
            for prefix, own in names
            for stream in STREAMS
        ]

    @override
    def setup_mapper(self) -> None:
        """Check the catalog, and compile the stream maps.

        Raises:
            InputError: the catalog or a map is wrong.
        """
        self._check_catalog()
        if problems := self.compile_stream_maps():
            raise InputError(problems)

    def compile_stream_maps(self) -> list[str]:
        """Compile the stream maps, and return one line for each problem."""
        config = copy.deepcopy(given(self.config))
        if problems := stream_map_problems(config.get("stream_maps", {}), self.streams.values()):
            return problems
        mapper = StreamMapper(config, self.logger)
        self.mapper = mapper
        return mapper.register(self.streams.values())

    def _check_catalog(self) -> None:
        """Warn if the catalog selects nothing.

        Raises:
            InputError: the catalog selects a stream that does not exist.
        """
        if self.input_catalog is None:
            return
        selected = {
            name: entry.metadata.resolve_selection().get((), True) for name, entry in self.input_catalog.items()
        }
        if problems := list(unknown_streams(selected, self.streams)):
            raise InputError(problems)
        if not any(selected.values()):
            self.logger.warning("catalog: no stream is selected, so nothing is read")

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Load the state of an earlier run."""
        merged, warnings = merge_partitions(state)
        for line in warnings:
            self.logger.warning(line)
        super().load_state(merged)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Return the problems of the configuration, one line each.

        The SDK's own messages repeat values, secrets included, and it has no public hook for validation.
        """
        self.append_builtin_config(self.config_jsonschema)
        self._config = with_numbers(self._config, self.config_jsonschema)
        register_secrets(self._config)
        problems = settings.problems(self.config, self.config_jsonschema) if raise_errors else []
        if problems:
            raise ConfigValidationError("Config validation failed", errors=problems, schema=settings.SCHEMA)
        return problems

    # Failures.

    def note_failure(
        self, stream: str, servers: Collection[str], reason: str, *, of_instance: bool = False
    ) -> None:
        """Log that a stream of these instances was not read completely, and record it for the end of the run."""
        if line := self._failures.add(stream, servers, reason, of_instance=of_instance):
            self.logger.error("%s", line)

    def log_missing_rights(self) -> None:
        """Log, once, a line for each relation of each instance that the account may not read."""
        for instance in self.instances.values():
            for warning in instance.nameless.take_warnings():
                self.logger.warning("%s: %s", instance.server, warning)

    def raise_failures(self) -> None:
        """Raise a RunError if a stream was not read completely.

        This decides the exit code of a run: 1 with a RunError, which `OneLineErrorCommand.main` handles, and 0
        without one. An exception is the only way, because `Tap.sync_all` of the SDK is final and returns nothing.
        It is raised in the last method that `sync_all` calls, `Stream.log_sync_costs`, so that programs that call
        `sync_all` get it, too.
        """
        if self._failures:
            streams = [stream for stream in self.streams.values() if stream.selected]
            requested = [(stream.name, each["server"]) for stream in streams for each in stream.partitions or []]
            raise RunError(self._failures.summary(requested))

    # Signals.

    @override
    def _setup_signal_handlers(self) -> None:
        """Install no handlers, since the command handles signals.

        The SDK's handler would write the state while a record is being written, and exit with 0. It has no public
        option to leave signals to the program.
        """

    def sync_until_terminated(self) -> None:
        """Sync all streams. A signal ends the sync between two messages, with the state reached so far.

        Raises:
            Terminated: a signal has arrived.
        """
        try:
            with termination.deferred():
                self.sync_all()
        except Terminated as error:
            self.logger.warning("%s: stopping with the state reached so far", error.signal)
            termination.acknowledge()
            self.state_writer.write_state(self.state)
            self.metrics.log(self.logger)
            raise

    # The command.

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        state: IO[bytes] | None = None,
        catalog: IO[bytes] | None = None,
    ) -> None:
        """Run the tap, as the SDK does, but let a signal end it between two messages."""
        if about:
            super().invoke(about=about, about_format=about_format)
        cls.print_version(print_fn=cls.logger.info)
        # Rows are not part of reference cycles. Searching them for cycles takes a quarter of the time of a run.
        gc.freeze()
        gc.set_threshold(_OBJECTS_UNTIL_COLLECTED)
        try:
            tap = cls(
                config=config.config if config else None,
                parse_env_config=config is not None and config.parse_env,
                state=read_state(state),
                catalog=read_catalog(catalog),
            )
            tap.sync_until_terminated()
        except ConfigValidationError as error:
            raise InputError(error.errors) from None
        except (StreamMapConfigError, MapExpressionError) as error:
            raise InputError([f"stream_maps: {error}"]) from None

    @classmethod
    @override
    def cb_config(cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]) -> Any:
        """Read the configuration files."""
        files = [path for path in value if path != _ENVIRONMENT]
        given = super().cb_config(ctx, param, tuple(path for path in value if path == _ENVIRONMENT))
        given.config = read_settings_files(files)
        return given

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        """Check settings, login, rights and each stream, and print a line for each.

        Raises:
            InputError: the settings are wrong.
            RunError: stream maps are wrong, or a stream that is selected by default cannot be read.
        """
        if value != "all":
            super().cb_test(ctx, param, value)
            return
        given = ctx.params["config"]
        try:
            tap = cls(config=given.config, parse_env_config=given.parse_env, setup_mapper=False)
        except ConfigValidationError as error:
            raise InputError(error.errors) from None
        tap.unreachable_attempts = _TEST_UNREACHABLE_ATTEMPTS
        problems = tap.compile_stream_maps()
        for problem in problems:
            echo(problem)
        failures = check_up(tap.instances.values(), [stream.declaration for stream in tap.discover_streams()])
        causes = [*problems, *([failures.causes()] if failures else [])]
        if causes:
            raise RunError(f"--test failed: {'; '.join(causes)}")
        ctx.exit(0)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command, with one line for an error instead of a traceback."""
        command = super().get_singer_command()
        for param in command.params:
            if param.name in {"state", "catalog"}:
                param.type = InputFile()
        return _Command(
            name=command.name,
            callback=command.callback,
            params=command.params,
            help=command.help,
            context_settings=command.context_settings,
            logger=cls.logger,
        )


class _Command(OneLineErrorCommand, SingerCommand):
    """The SDK's command, which reports errors in one line and exits with 1."""


def _extended(stream: fields.Stream, extra: tuple[fields.Field, ...]) -> fields.Stream:
    """Return a stream with further columns, placed before the computed ones."""
    place = stream.fields.index(SERVER)
    return replace(stream, fields=(*stream.fields[:place], *extra, *stream.fields[place:]))
