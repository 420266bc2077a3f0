"""The target: the SDK's shell around a run, with the command line.

A state is written at the end of a run, after everything received before it was delivered, stored or rejected. The
SDK would write it every five minutes, and when the process is terminated.
"""

from __future__ import annotations

import copy
import os
import sqlite3
import sys
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Target
from singer_sdk.configuration._dict_config import parse_environment_config
from singer_sdk.exceptions import (
    ConfigValidationError,
    MapExpressionError,
    RecordsWithoutSchemaException,
    StreamMapConfigError,
)
from singer_sdk.helpers.capabilities import PluginCapabilities
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.plugin_base import SingerCommand
from singer_sdk.singerlib.json import serialize_json
from singer_sdk.sinks import RecordSink
from typing_extensions import override

from tap_daktela.api.retry import DEFAULT_RETRIES, RetryPolicy
from tap_daktela.cli.config import given, register_secrets, with_defaults, with_numbers
from tap_daktela.cli.errors import InputError, OneLineErrorCommand, RunError, check_environment
from tap_daktela.cli.json_files import InputFile, read_settings_files
from tap_daktela.cli.output import OutputError
from tap_daktela.cli.signals import Terminated
from target_daktela_crm.commands.deliver import deliver_stage
from target_daktela_crm.commands.explain import Explanation
from target_daktela_crm.commands.status import describe
from target_daktela_crm.inputs import settings
from target_daktela_crm.inputs.settings import Needs
from target_daktela_crm.mapping.native import NativeReader
from target_daktela_crm.reader import TolerantReader, UnreadableLineError
from target_daktela_crm.run import Run
from target_daktela_crm.store.schema import StoreError, describe_sqlite_error
from target_daktela_crm.store.store import Store, StoreOwner
from target_daktela_crm.summary import pluralize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.mapper import StreamMap
    from singer_sdk.plugin_base import _ConfigInput

    from target_daktela_crm.receiver import Receiver

_COMMANDS = ("deliver", "status", "explain")
"""Options that do something else than a run."""
_ENVIRONMENT = "ENV"
"""What `--config` has in place of a file for settings in the environment."""


class CrmSink(RecordSink):
    """Passes each record of a stream to the receiver.

    Records are not validated against their schemas, which those of many CRM taps contradict (crm-taps.md §1, 8).
    A record that cannot be mapped is rejected with its reason instead.
    """

    def __init__(
        self, target: Target, stream_name: str, schema: dict[str, Any], key_properties: Sequence[str] | None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        # Only TargetDaktelaCrm, which has a receiver, uses this sink.
        self._receiver: Receiver = target.receiver  # type: ignore[attr-defined]

    @override
    def get_validator(self) -> None:
        """Return no validator."""

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Pass a record to the receiver."""
        self._receiver.receive(self.stream_name, record)


class TargetDaktelaCrm(Target):
    """Loads the companies and contacts of a CRM into Daktela's CRM."""

    name = "target-daktela-crm"
    package_name = "tap-daktela"
    # A copy, since the SDK adds its own settings to it.
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(settings.SCHEMA)
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]
    default_sink_class = CrmSink
    retry_policy: ClassVar[RetryPolicy] = DEFAULT_RETRIES
    """The waits between the attempts of a request; tests have shorter ones."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - the SDK's own options
        self._needs: Needs = options.pop("needs", Needs.CREDENTIALS)
        # Not the SDK's attribute, which is written whenever the SDK drains its sinks.
        self._state: dict[str, Any] = {}
        self._direct_streams: set[str] = set()
        """Streams whose records neither stream maps nor flattening change."""
        self._native = NativeReader()
        if options.get("parse_env_config"):
            self.append_builtin_config(self.config_jsonschema)
            check_environment(self.config_jsonschema["properties"], self._env_var_prefix, parse_environment_config)
        self._reader = TolerantReader(self)
        super().__init__(message_reader=self._reader, **options)
        # No threads for draining, since the sinks hold no records.
        self.max_parallelism = 1

    @cached_property
    def settings(self) -> settings.Settings:
        """The checked settings."""
        return settings.read(self.config, f"{self.name}/{self.plugin_version}", self.retry_policy)

    @cached_property
    def run(self) -> Run:
        """The run, which begins at the first access.

        Raises:
            RunError: it cannot begin.
        """
        try:
            return Run(self.settings, self.config)
        except StoreError as error:
            raise RunError(f"{error}. Nothing was sent") from None

    @property
    def receiver(self) -> Receiver:
        """The receiver of the run's records."""
        return self.run.receiver

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings of stream maps and flattening. Its other settings would have no effect."""
        super(Target, cls).append_builtin_config(config_jsonschema)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Return the problems of the configuration, one line each. The SDK's own messages repeat secrets."""
        self.append_builtin_config(self.config_jsonschema)
        self._config = with_numbers(self._config, self.config_jsonschema)
        register_secrets(self._config)
        problems = settings.problems(self.config, self.config_jsonschema, self._needs) if raise_errors else []
        if problems:
            raise ConfigValidationError("Config validation failed", errors=problems, schema=settings.SCHEMA)
        return problems

    # Messages.

    def receive_native(self, line: bytes) -> bool:
        """Receive the record of a line without its mapping, if that is possible; return whether it was."""
        native = self._native.read(line)
        if native is None:
            return False
        self.receiver.receive_native(*native)
        return True

    def reject_line(self, line: bytes, number: int, reason: str) -> None:
        """Reject a line that is not a message."""
        self.receiver.reject_line(line, number, reason)

    @override
    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        """Prepare for a stream; the schema of a stream that is not mapped need not even be valid.

        Raises:
            RunError: the message has no stream or no properties.
        """
        stream, schema = message_dict.get("stream"), message_dict.get("schema")
        is_mapped = isinstance(stream, str) and self.receiver.is_mapped(stream)
        if not is_mapped and not self.config.get("stream_maps"):
            return
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(stream, str) or not isinstance(properties, dict):
            raise RunError(
                f"{stream}: its SCHEMA message lists no properties. The tap is broken; nothing was sent"
            )
        super()._process_schema_message(message_dict)
        self._direct_streams.discard(stream)
        maps = self.mapper.stream_maps.get(stream, [])
        for stream_map in maps:
            self.receiver.announce(stream_map.stream_alias, stream_map.transformed_schema.get("properties") or {})
        if _changes_nothing(maps):
            self._direct_streams.add(stream)

    @override
    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        """Pass a record to the receiver unchanged, or as its stream maps and flattening change it.

        The SDK's method converts texts to datetimes and validates records against schemas, which CRM taps do not
        follow. It also copies each record for its maps, which takes a tenth of a run's time.
        """
        stream, record = message_dict.get("stream"), message_dict.get("record")
        if not isinstance(stream, str) or not isinstance(record, dict):
            reason = "is a RECORD message without a stream or a record"
            self.receiver.reject_record(str(stream), reason, message_dict)
            return
        if stream in self._direct_streams:
            self.receiver.receive(stream, record)
            self._announce_native(stream)
            return
        maps = self.mapper.stream_maps.get(stream)
        if maps is None:
            self._process_without_schema(stream, record)
            return
        for stream_map in maps:
            try:
                mapped = stream_map.transform(copy.copy(record))
            except Exception as error:  # noqa: BLE001 - whatever an expression of the user raises
                self.receiver.reject_record(stream, f"stream_maps: {type(error).__name__}", record)
                continue
            if mapped is not None:
                self._sinks_active[stream_map.stream_alias].process_record(mapped, {})

    def _announce_native(self, stream: str) -> None:
        """Let further records of a stream be read without the mapping, if that is possible."""
        if (native := self.receiver.native(stream)) is not None:
            self._native.announce(stream, native)

    def _process_without_schema(self, stream: str, record: dict[str, Any]) -> None:
        """Process a record whose stream has no SCHEMA message, which some CRM taps omit (crm-taps.md §1, 11)."""
        is_changed = self.config.get("stream_maps") or self.config.get("flattening_enabled")
        if is_changed and self.receiver.is_mapped(stream):
            raise RecordsWithoutSchemaException(
                f"{stream}: a record arrived before its SCHEMA message, which stream_maps and flattening need"
            )
        self.receiver.receive(stream, record)

    @override
    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        """Keep a state until the end; an empty one does not replace an earlier one."""
        state = message_dict.get("value")
        if isinstance(state, dict) and _is_non_empty(state):
            self._state = state

    @override
    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        """Ignore the message, since CRM taps also send it in incremental runs, whose records are not complete."""
        self.logger.debug("%s: ACTIVATE_VERSION has no effect", message_dict.get("stream"))

    @override
    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        stream = message_dict.get("stream")
        raise RunError(f"{stream}: BATCH messages are not supported; disable batches in the tap")

    # The end.

    @override
    def process_endofpipe(self) -> None:
        """Deliver everything, and write the state if it may be written.

        Raises:
            RunError: not everything could be delivered.
        """
        cut_off = self._reader.cut_off
        if self._reader.repaired:
            lines = pluralize(self._reader.repaired, "line has", "lines have")
            self.run.summary.notes.append(f"{lines} bytes that are not UTF-8; each was replaced by U+FFFD")
        may_write_state = self.run.finish(cut_off=cut_off)
        for stream, sink in self._sinks_active.items():
            # Counted here, since most records are passed to the receiver without their sink.
            sink.record_counter_metric.increment(self.run.summary.records(stream))
        super().process_endofpipe()
        if may_write_state and self._state:
            self._write_state_message(self._state)
        rejected = len(self.run.rejects)
        self.run.close()
        if cut_off:
            raise RunError(
                "the input ends in the middle of a line: the tap was cut off. "
                f"{self._others('All complete lines were delivered, stored or rejected')}"
            )
        if rejected:
            rejects = pluralize(rejected, "record was", "records were")
            others = self._others("All other records were delivered or stored")
            raise RunError(f"{rejects} rejected, see {self.run.rejects.path}. {others}")

    def _others(self, text: str) -> str:
        """Return what became of the rest of the input, which is `text` unless nothing was received or sent."""
        if self.settings.dry_run is not None:
            return "Nothing was sent, since this was a dry run"
        return "Nothing else was received" if self.receiver.is_empty else text

    @override
    def _write_state_message(self, state: dict[str, Any]) -> None:
        """Write a state with exact numbers.

        All characters beyond ASCII are escaped, so that no reader can take one of them for the end of the line.

        Raises:
            RunError: standard output cannot be written.
        """
        try:
            sys.stdout.write(f"{serialize_json(state)}\n")
            sys.stdout.flush()
        except OutputError as error:
            raise RunError(
                f"{error}. The state was not written: all records were delivered or stored, and the tap sends "
                "them again in the next run"
            ) from None

    @override
    def _setup_signal_handlers(self) -> None:
        """Install no handlers: the command handles signals. The SDK's would drain everything and write a state."""

    # The command.

    @classmethod
    @override
    def invoke(  # type: ignore[override]
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[bytes] | None = None,
        **modes: bool,
    ) -> None:
        """Run the target, or one of its other commands; `main` reports invalid input."""
        try:
            if about or not any(modes.values()):
                cls._invoke_run(about=about, about_format=about_format, config=config, file_input=file_input)
            else:
                cls._invoke_command(config, file_input, modes)
        except ConfigValidationError as error:
            raise InputError(error.errors) from None
        except (StreamMapConfigError, MapExpressionError) as error:
            raise InputError([f"stream_maps: {error}"]) from None
        except RecordsWithoutSchemaException as error:
            raise RunError(f"{error}. Nothing was sent") from None
        except StoreError as error:
            raise RunError(str(error)) from None
        except Terminated as error:
            cls.logger.warning("%s: nothing more is sent, and no further STATE message is written", error.signal)
            raise

    @classmethod
    def _invoke_run(cls, **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        if options["about"]:
            super().invoke(**options)
            return
        config = options["config"]
        target = cls(config=config.config, parse_env_config=config.parse_env)
        target.check_environment_settings()
        target.print_version(print_fn=cls.logger.info)
        try:
            # Before the first message, so that a store that cannot be used is reported at once.
            target.run  # noqa: B018
            with _store_errors(target):
                target.listen(options["file_input"])
        except RunError:
            if "run" in vars(target):
                target.run.summarize()
            raise
        finally:
            # Also after an error: only a closed store is complete in one file, which may be copied.
            if "run" in vars(target):
                target.run.close()

    def check_environment_settings(self) -> None:
        """Warn about settings in the environment that Meltano has not passed on.

        Meltano passes on only the settings that meltano.yml lists.

        Raises:
            InputError: one of them is `dry_run`, so that the run would not be a dry run.
        """
        prefix = self._env_var_prefix
        in_environment = {
            name.removeprefix(prefix).lower()
            for name, value in os.environ.items()
            if name.startswith(prefix) and value
        }
        for name in sorted(in_environment & set(self.config_jsonschema["properties"]) - set(self.config)):
            variable = f"{prefix}{name}".upper()
            if name == "dry_run":
                problem = f"dry_run: {variable} is set in the environment, but Meltano did not pass it on"
                advice = "list dry_run among the loader's settings in meltano.yml, or give --config ENV"
                raise InputError([f"{problem}: {advice}. Nothing was sent"])
            self.logger.warning(
                "%s is set in the environment, but Meltano did not pass it on: list %s among the loader's "
                "settings in meltano.yml",
                variable,
                name,
            )

    @classmethod
    def _invoke_command(
        cls, config: _ConfigInput | None, file_input: IO[bytes] | None, modes: dict[str, bool]
    ) -> None:
        chosen = [name for name in _COMMANDS if modes.get(name)]
        if len(chosen) > 1:
            raise InputError([f"--{chosen[0]} and --{chosen[1]} cannot be combined: give one of them"])
        if not chosen:
            raise InputError(["--accept-unknown needs --deliver"])
        needs = {"deliver": Needs.CREDENTIALS, "status": Needs.INSTANCE, "explain": Needs.MAPPING}[chosen[0]]
        files = config.config if config is not None else []
        target = cls(config=files, parse_env_config=config is not None and config.parse_env, needs=needs)
        with _store_errors(target):
            if chosen == ["explain"]:
                target.explain(file_input)
            elif chosen == ["status"]:
                target.print_status()
            else:
                target.deliver(accept_unknown=modes.get("accept_unknown", False))

    def explain(self, file_input: IO[bytes] | None) -> None:
        """Show what the mapping makes of the first records of each stream."""
        values = with_defaults(self.config, settings.SCHEMA)
        explanation = Explanation(values["preset"], values.get("streams"), values.get("phone_region"))

        reader = TolerantReader()
        for line in reader.lines(file_input):
            with suppress(UnreadableLineError):
                message = reader.message(line)
                if message is not None and message["type"] == "RECORD":
                    self._explain_record(explanation, message)
        for text in explanation.end():
            click.echo(text)

    @staticmethod
    def _explain_record(explanation: Explanation, message: dict[str, Any]) -> None:
        stream, record = str(message.get("stream")), message.get("record")
        if isinstance(record, dict):
            for line in explanation.of_record(stream, record):
                click.echo(line)
        else:
            click.echo(f"{stream}: a RECORD message without a record")

    def print_status(self) -> None:
        """Print what the store contains."""
        store = Store.open(self.settings.store_path, self._given_owner(), create=False, keep=False)
        try:
            # As the next run does.
            store.discard_stage()
            click.echo(describe(store, self.settings.store_path, self.settings.rejects_path))
        finally:
            store.close()

    def deliver(self, *, accept_unknown: bool) -> None:
        """Send the staged load with `delete`.

        Settings that are not given are those of the run that staged it.
        """
        store = Store.open(self.settings.store_path, self._given_owner(), create=False)
        try:
            staged = (store.get("stage") or {}).get("config", {})
            owner = store.get("owner")
            config = {**owner, **staged, **given(self.config)}
            merged = settings.read(config, f"{self.name}/{self.plugin_version}", self.retry_policy)
            deliver_stage(store, merged, accept_unknown=accept_unknown)
        finally:
            store.close()

    def _given_owner(self) -> StoreOwner:
        """Return the owner that the store must have, as far as it is given."""
        config = given(self.config)
        owner = self.settings.owner
        return StoreOwner(
            owner.url,
            owner.sync_path if "sync_path" in config else None,
            owner.preset if "preset" in config else None,
        )

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
    def get_singer_command(cls) -> click.Command:
        """Return the SDK's command with our own options, and with one line per error instead of a traceback."""
        command = super().get_singer_command()
        params = [param for param in command.params if param.name != "file_input"]
        return _Command(
            name=command.name,
            callback=command.callback,
            params=[*params, *_OPTIONS],
            help=command.help,
            context_settings=command.context_settings,
            logger=cls.logger,
        )


_OPTIONS = (
    click.Option(
        ["--input", "file_input"],
        type=InputFile(),
        help="Read messages from this file instead of standard input.",
    ),
    click.Option(
        ["--deliver"],
        is_flag=True,
        help="Send the staged full load. Daktela deletes all contacts that it does not contain.",
    ),
    click.Option(
        ["--accept-unknown"],
        is_flag=True,
        help="For the first --deliver: contacts that the store has never seen may be deleted.",
    ),
    click.Option(
        ["--status"], is_flag=True, help="Print what the store contains: deliveries, rejects, the staged load."
    ),
    click.Option(
        ["--explain"],
        is_flag=True,
        help="Show what the mapping makes of the first records of each stream on the input; send nothing.",
    ),
)


class _Command(OneLineErrorCommand, SingerCommand):
    """The SDK's command, which reports errors in one line and exits with 1."""


@contextmanager
def _store_errors(target: TargetDaktelaCrm) -> Iterator[None]:
    """Report an error of SQLite as a RunError that says what it means."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunError(describe_sqlite_error(target.settings.store_path, error)) from None


def _changes_nothing(maps: list[StreamMap]) -> bool:
    """Return whether neither stream maps nor flattening change a stream's records."""
    return [type(each) for each in maps] == [SameRecordTransform] and not maps[0].flattening_enabled


def _is_non_empty(state: object) -> bool:
    """Return whether a state contains anything but empty objects and lists, at any depth."""
    left = [state]
    while left:
        value = left.pop()
        if isinstance(value, (dict, list)):
            left += value.values() if isinstance(value, dict) else value
        elif value is not None:
            return True
    return False
