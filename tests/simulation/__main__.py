"""Soaks: plays seeds until time is over or one fails, which is then cut down and shown. Or plays a single seed."""

import secrets
import sys
import time

import click

from tests.simulation.seeds import explain, play

LARGEST = 2**48
TELL_EVERY = 30.0  # seconds


@click.command()
@click.option("--seed", type=int, help="Play this one, and cut it down if it fails.")
@click.option("--start", type=int, help="The first of many seeds; by default a fresh one.")
@click.option("--seconds", type=float, default=600.0, help="How long to go on.")
@click.option("--processes", type=int, default=2)
def main(seed: int | None, start: int | None, seconds: float, processes: int) -> None:
    """Play seeds of the simulation."""
    if seed is not None:
        click.echo(explain(seed))
        return
    start = secrets.randbelow(LARGEST) if start is None else start
    began = told = time.monotonic()
    passed = 0
    click.echo(f"from seed {start} on")
    for played in play(start, seconds=seconds, processes=processes):
        passed = played.passed
        if played.failed is not None:
            click.echo(f"{passed} seeds passed, then:\n{explain(played.failed)}")
            sys.exit(1)
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            click.echo(f"{passed} seeds passed in {told - began:.0f} s")
    click.echo(f"{passed} seeds from {start} on passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
