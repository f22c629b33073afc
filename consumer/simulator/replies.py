"""From an answer to the bytes and headers that go out."""

import json
from http import HTTPStatus

from consumer.simulator.calls import Call
from consumer.simulator.faults import Fault
from consumer.simulator.messages import Answer, Reply


def reply_to(call: Call, answer: Answer, fault: Fault | None, seed: int) -> Reply:
    """Write the reply. Every one carries a correlation id; errors in JSON repeat it in the body."""
    delay = fault.delay if fault else 0.0
    if fault and fault.kind.cut:
        return Reply(0, delay=delay, cut=True)
    # Seed and number make it unique, and lead from a line of a log to the request.
    correlation_id = f"{seed & 0xFFFFFFFF:08x}-0000-4000-8000-{call.number:012x}"
    headers = [("X-HubSpot-Correlation-Id", correlation_id)]
    body = b""
    if isinstance(answer.body, str):
        headers.append(("Content-Type", "application/json" if answer.status == HTTPStatus.OK else "text/html"))
        body = answer.body.encode()
    elif answer.body is not None:
        headers.append(("Content-Type", "application/json;charset=utf-8"))
        about = {} if answer.status == HTTPStatus.OK else {"correlationId": correlation_id}
        body = json.dumps({**answer.body, **about}).encode()
    if fault and fault.retry_after is not None:
        headers.append(("Retry-After", str(fault.retry_after)))
    return Reply(answer.status, (*headers, *_rate_headers(call, answer)), body, delay)


def _rate_headers(call: Call, answer: Answer) -> list[tuple[str, str]]:
    # Not at search and OAuth, and not on a 429.
    if call.account is None or call.endpoint is None or call.endpoint.family not in ("lists", "contacts"):
        return []
    quota = call.account.rolling
    if quota.limit is None or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return []
    return [
        ("X-HubSpot-RateLimit-Max", str(quota.limit)),
        ("X-HubSpot-RateLimit-Remaining", str(quota.remaining(call.now))),
        ("X-HubSpot-RateLimit-Interval-Milliseconds", str(int(quota.seconds * 1000))),
    ]
