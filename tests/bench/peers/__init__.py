"""The same events through our service and through two programs as users of other libraries write them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tests.bench.measure import Contender, Goal, Measure, Round
from tests.bench.peers.contenders import CONTENDERS, OURS, SLEEPING, Start
from tests.bench.peers.scenarios import Plain, Storm

PLAIN = Plain(lists=50, contacts=100_000, events=300_000, within=120.0)
STORM = Storm(lists=20, contacts=10_000, events=40_000, quota=110, before=10.0, seconds=30.0, share=1 / 3, within=120.0)
STORM_OF_MANY = replace(STORM, lists=50)

_STORM = (
    "40,000 events of 10,000 contacts come within 40 s, each in one of {} lists, which they enter and leave at random. "
    "HubSpot takes 110 requests in ten seconds, and when 10 s have passed it answers a third of those 429 as well, for "
    "the other 30 s; one list more, with as many events, is deleted then. At most 120 s later all other lists must be "
    "what the log says, and stay so for 12 s. Only our service is told the quota. The others have no such setting: "
    "they hear of it by a 429, wait the ten seconds that it means, and read their batch again. "
)


def _ours(name: str, of: Round) -> float:
    return of[OURS][name]


_GOALS = (
    Goal("lists right, of hubspot-list-sync", partial(_ours, "lists right"), at_least=1.0),
    Goal("finished, of hubspot-list-sync", partial(_ours, "finished"), at_least=1.0),
)


def _storm(name: str, title: str, storm: Storm, contenders: Mapping[str, Start], about: str) -> Measure:
    return Measure(
        name,
        title,
        _STORM.format(storm.lists) + about,
        [Contender(each, partial(storm.run, start)) for each, start in contenders.items()],
        {
            "lists right": "of 1",
            "finished": "of 1",
            "seconds after the storm": "s",
            "requests": "",
            "answered 429": "",
        },
        _GOALS,
        rounds=3,
    )


MEASURES = (
    Measure(
        "peers-plain",
        "Peers: a log to catch up with",
        "A new group finds 300,000 events written, in four partitions, of 100,000 contacts that are each in one of 50 "
        "lists; nobody limits the rate. A request has up to 1,000 contacts. Ours reads to the end of the log before it "
        "sends. The others collapse and send what they read within 5 s, Quix Streams' own default, or 50,000 events, "
        "whichever is first, so none of them waits for its last batch. CPU is that of the program's one process, all "
        "its threads, from where its group has all partitions, which is looked at every 50 ms, until all is committed; "
        "the time is that as well. Our service also writes to a topic what became of each contact, before it commits. "
        "The others are written as their documentation says, in `tests/bench/peers/`.",
        [Contender(each, partial(PLAIN.run, start)) for each, start in CONTENDERS.items()],
        {"events per second": "1/s", "CPU per event": "µs", "requests": "", "lists right": "of 1", "finished": "of 1"},
        _GOALS,
        rounds=3,
    ),
    _storm(
        "peers-storm",
        "Peers: a storm of 429s, 20 lists",
        STORM,
        CONTENDERS,
        "What is meant for the deleted list our service keeps, as dead letters or uncommitted; the others drop it.",
    ),
    _storm(
        "peers-storm-many",
        "Peers: a storm of 429s, 50 lists",
        STORM_OF_MANY,
        {**CONTENDERS, **SLEEPING},
        "A batch of Quix Streams is that of one partition, of four: to commit, it must get some 200 requests through, "
        "more than HubSpot takes in ten seconds, and at a 429 it begins anew. The last contender's sink sleeps instead "
        "and sends the one request again, which the documentation does not show.",
    ),
)
