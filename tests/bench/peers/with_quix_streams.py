"""Membership changes to HubSpot lists with Quix Streams, as somebody would write it who has read its documentation.

Quix Streams 3.28.1, "Creating a Custom Sink" (docs/connectors/sinks/custom-sinks.md in quixio/quix-streams): a
`BatchingSink` that connects in `setup`, and whose `write` raises `SinkBackpressureError(retry_after)` where the target
cannot take more at the moment; the application then pauses, and reads and sends all again from the last checkpoint on.
"Configuring the Checkpointing" (docs/advanced/checkpointing.md): `commit_interval` and `commit_every`, which bound a
batch. "Schema Registry" (docs/advanced/schema-registry.md): its `AvroDeserializer`. Like Quix' own InfluxDB 3 sink,
`write` raises at the first 429, and has the application wait as long as `Retry-After` says.

With `sleeps` the sink does what the documentation does not show: `write` itself sleeps after a 429, and sends the same
request again. So what was taken is not sent once more; but all that sleeping must end within `max.poll.interval.ms`.

Beyond the documentation: the newest change of each contact in a batch wins, and additions and removals of a list leave
in one request. What HubSpot refuses for good is logged and left out, or it would stop the application.

The one argument is JSON: bootstrap, group, topic, registry (url, user), hubspot (url, client_id, client_secret,
refresh_token), lists (source id to list id), batch_seconds, batch_events, max_contacts, sleeps, state_dir.
"""

import json
import logging
import sys
import time
from collections import defaultdict
from typing import Any

import httpx
from quixstreams import Application
from quixstreams.models import SchemaRegistryClientConfig
from quixstreams.models.serializers.avro import AvroDeserializer
from quixstreams.sinks.base import BatchingSink, SinkBackpressureError, SinkBatch

TRY_AGAIN = {408, 423, 429, 477, 502, 503, 504, 521, 523, 524}
TEN_SECONDS = 10.0  # HubSpot's quota is one of ten seconds, and its 429 seldom says more

log = logging.getLogger("hubspot")


class HubSpot:
    """The lists API of one account."""

    def __init__(self, url: str, client_id: str, client_secret: str, refresh_token: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30.0)
        self._form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": refresh_token,
        }
        self._token = ""
        self._good_until = 0.0

    def add_and_remove(self, list_id: int, add: list[str], remove: list[str]) -> httpx.Response:
        """Change who is on a list. httpx.HTTPError if there is no answer, or no token."""
        return self._client.put(
            f"/crm/lists/2026-03/{list_id}/memberships/add-and-remove",
            json={"recordIdsToAdd": add, "recordIdsToRemove": remove},
            headers={"Authorization": f"Bearer {self.access_token()}"},
        )

    def access_token(self) -> str:
        """Give the token, a fresh one when the last is about to expire. httpx.HTTPError if there is none."""
        if time.monotonic() >= self._good_until:
            answer = self._client.post("/oauth/2026-03/token", data=self._form).raise_for_status().json()
            self._token = answer["access_token"]
            self._good_until = time.monotonic() + answer["expires_in"] - 60
        return self._token


class HubSpotListSink(BatchingSink):
    """Keeps the lists of some sources."""

    def __init__(self, hubspot: HubSpot, lists: dict[str, int], max_contacts: int, *, sleeps: bool) -> None:
        super().__init__()
        self._hubspot = hubspot
        self._lists = lists
        self._max_contacts = max_contacts
        self._sleeps = sleeps

    def setup(self) -> None:
        """Ask for a token, which fails here and now if there is none."""
        self._hubspot.access_token()

    def write(self, batch: SinkBatch) -> None:
        """Send one batch, which is that of one partition: a request for each list in it."""
        newest: dict[int, dict[str, str]] = defaultdict(dict)
        for item in batch:
            change = item.value
            list_id = self._lists.get(change["source_id"])
            contact = change["identifiers"].get("2006")
            if list_id is not None and contact is not None:
                newest[list_id][contact] = change["transition"]
        for list_id, transitions in newest.items():
            contacts = list(transitions.items())
            for start in range(0, len(contacts), self._max_contacts):
                self._send(list_id, contacts[start : start + self._max_contacts])

    def _send(self, list_id: int, contacts: list[tuple[str, str]]) -> None:
        add = [contact for contact, transition in contacts if transition == "ENTER"]
        remove = [contact for contact, transition in contacts if transition == "EXIT"]
        try:
            answer = self._hubspot.add_and_remove(list_id, add, remove)
        except httpx.HTTPError as problem:
            log.warning("list %d: %r", list_id, problem)
            raise SinkBackpressureError(retry_after=TEN_SECONDS) from problem
        if answer.status_code in TRY_AGAIN:
            wait = float(answer.headers.get("Retry-After", TEN_SECONDS))
            if not self._sleeps:
                raise SinkBackpressureError(retry_after=wait)
            time.sleep(wait)
            self._send(list_id, contacts)
        elif answer.is_error:
            log.error("list %d: %d, %s", list_id, answer.status_code, answer.text)


def main(settings: dict[str, Any]) -> None:
    """Run until a signal comes."""
    app = Application(
        broker_address=settings["bootstrap"],
        consumer_group=settings["group"],
        auto_offset_reset="earliest",
        commit_interval=settings["batch_seconds"],
        commit_every=settings["batch_events"],
        state_dir=settings["state_dir"],
    )
    registry = SchemaRegistryClientConfig(
        url=settings["registry"]["url"], basic_auth_user_info=settings["registry"]["user"]
    )
    changes = app.topic(settings["topic"], value_deserializer=AvroDeserializer(schema_registry_client_config=registry))
    sink = HubSpotListSink(
        HubSpot(**settings["hubspot"]), settings["lists"], settings["max_contacts"], sleeps=settings["sleeps"]
    )
    app.dataframe(changes).sink(sink)
    app.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main(json.loads(sys.argv[1]))
