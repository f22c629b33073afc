"""What all rounds came to: a table for people, and one line of JSON."""

import json
from collections import Counter
from dataclasses import fields
from statistics import median

from tests.chaos.audit import Findings
from tests.chaos.round import Outcome


class Report:
    """Sums over rounds."""

    def __init__(self) -> None:
        self._rounds: dict[int, Outcome] = {}

    def add(self, seed: int, outcome: Outcome) -> None:
        """Take in what the round of a seed came to."""
        self._rounds[seed] = outcome

    @property
    def broken(self) -> bool:
        """Tell whether a promise was broken in any round."""
        return any(each.findings.promise_broken or each.leaks or each.lag for each in self._rounds.values())

    def figures(self) -> dict[str, object]:
        """Give all figures by name."""
        rounds = list(self._rounds.values())
        said = [record for each in rounds for record in each.said]
        recoveries = [seconds for each in rounds for seconds in each.recoveries]

        def reasons(event: str) -> dict[str, int]:
            found = Counter(record["reason"] for record in said if record["event"] == event)
            return {"all": found.total(), **dict(found.most_common())}

        def total(name: str) -> int:
            values = (getattr(each.findings, name) for each in rounds)
            return sum(value if isinstance(value, int) else len(value) for value in values)

        requests = sum((each.requests for each in rounds), Counter[int | None]())
        return {
            "seeds": list(self._rounds),
            "events": sum(each.events.total() for each in rounds),
            "poison": sum(each.events["UNDECODABLE"] + each.events["INVALID_RECORD_ID"] for each in rounds),
            "faults": dict(sorted(sum((each.faults for each in rounds), Counter[str]()).items())),
            "revokes_with_a_request_on_the_wire": revokes_on_the_wire(said),
            "requests": {"all": requests.total(), **{str(status or "cut"): n for status, n in requests.most_common()}},
            "retries": reasons("will be tried again"),
            "refusals": reasons("refused"),
            **{field.name: total(field.name) for field in fields(Findings)},
            "recovery_seconds": {"median": round(median(recoveries), 1), "max": round(max(recoveries), 1)},
            "seconds_from_the_last_fault_to_lag_0": round(max(each.quiet_after for each in rounds), 1),
            "lag": sum(each.lag for each in rounds),
            "characters_searched_for_secrets": sum(each.searched for each in rounds),
            "secrets_found": sum(len(each.leaks) for each in rounds),
        }

    def text(self) -> str:
        """Give the table, and after it the line of JSON."""
        figures = self.figures()
        rows = "".join(f"| {name.replace('_', ' ')} | {_cell(value)} |\n" for name, value in figures.items())
        return f"| what | figure |\n|---|---|\n{rows}{json.dumps(figures)}\n"


def revokes_on_the_wire(said: list[dict[str, object]]) -> int:
    """Count the revokes that began with a request on the wire, in the members' log records."""
    return sum(bool(record["were_on_the_wire"]) for record in said if record["event"] == "partitions revoked")


def _cell(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{name} {each}" for name, each in value.items())
        case list():
            return ", ".join(map(str, value))
        case int():
            return f"{value:,}"
    return str(value)
