"""What `setup` shows in the shell: what is known of a choice before it is saved, and what was done then."""

import json
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

import click

from consumer.commands import tables
from consumer.commands.check import show_findings
from consumer.commands.common import NAME
from consumer.commands.terminal import Chosen
from consumer.setup.words import Choice, Commands, Filling, Preview, Proof, Saved

SHOWN = 20  # record ids of a request that a person is shown; a program gets all


def show_proof(choice: Choice, proof: Proof) -> None:
    """Show it on stderr: what checks have found, the request, and what changes in the file."""
    show_findings(proof.findings, err=True)
    if proof.preview is not None:
        _show_request(choice, proof.preview)
    tables.note("This changes in the file:" if proof.diff else "Nothing changes in the file.")
    for line in proof.diff.splitlines():
        tables.note(line)


def show_saved(choice: Choice, saved: Saved, config: Path) -> None:
    """Say where it was written, and what to do next."""
    tables.say(f"{choice.connector} was saved in {saved.path}")
    _show_secrets(saved.secrets)
    file = "" if str(config) == f"{NAME}.yaml" else f" --config {quote(str(config))}"
    rebuild = f"{NAME} rebuild --connector {quote(choice.connector)}{file}"
    tables.note("Next: start `run`, or restart it where it runs, for it reads the file at its start;")
    tables.note(f"then fill the list with all whom the log has in it: {rebuild}")
    if not choice.enabled:
        tables.note(f"{choice.connector} is disabled: `run` skips its changes until `enabled` is true in the file.")


def show_commands(commands: Commands) -> None:
    """Print what to type; nothing else goes to stdout."""
    click.echo(commands.text)  # as it is: the file is in it
    _show_secrets(commands.secrets)


def show_filling(filling: Filling) -> None:
    """Show what came of filling the list."""
    if filling.summary:
        tables.show("contacts", "what", rows=filling.summary)
    elif filling.problem is None:
        tables.note("the log tells of no contact of this source")
    if filling.problem is not None:
        tables.note(f"the list was not filled: {filling.problem}")


def for_programs(chosen: Chosen, proof: Proof) -> dict[str, Any]:
    """Give the same for programs, as what was not saved yet."""
    choice, preview = chosen.choice, proof.preview
    return {
        "saved": False,
        "connector": choice.connector,
        "account": choice.account,
        "list_id": choice.list_id,
        "list_name": chosen.list_name,
        "source": str(choice.source),
        "identifier": choice.identifier,
        "enabled": choice.enabled,
        "findings": [each._asdict() for each in proof.findings],
        "request": preview
        and {
            "path": preview.path,
            "body": _body(preview),
            "events": preview.events,
            "without": preview.without,
            "invalid": preview.invalid,
        },
        "diff": proof.diff,
    }


def _show_secrets(files: Sequence[str]) -> None:
    if files:
        tables.note(f"secrets were written into {', '.join(files)} (mode 0600)")


def _show_request(choice: Choice, preview: Preview) -> None:
    left_out = {"nothing": preview.without, "no record id": preview.invalid}
    parts = [f"{count:,} have {what} in slot {choice.identifier}" for what, count in left_out.items() if count]
    which = f" ({', '.join(parts)})" if parts else ""
    tables.note(f"The last {preview.events:,} events of {choice.source}{which} make this request; it is not sent:")
    tables.note(f"PUT {preview.path}")
    for key, ids in _body(preview).items():
        more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
        tables.note(f"  {key}: {json.dumps(ids[:SHOWN])}{more}")


def _body(preview: Preview) -> dict[str, list[str]]:
    """Give the request's body."""
    return {
        "recordIdsToAdd": [str(each) for each in preview.adds],
        "recordIdsToRemove": [str(each) for each in preview.removes],
    }
