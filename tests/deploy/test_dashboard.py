"""Every query of the dashboard is asked of a real Prometheus that has watched the real service in trouble."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from consumer.metrics import PREFIX, TABLE
from deploy.grafana import dashboard
from deploy.grafana import panels as source
from deploy.prometheus import rules
from tests.deploy.faulty_run import EVERYBODY, Seen, seen
from tests.deploy.prometheus import fill
from tests.deploy.shown import answers, panels, series
from tests.house.tree import ROOT
from tests.real.kafka_broker import Broker
from tests.real.registry_server import RegistryServer
from tests.real.service import world

pytestmark = pytest.mark.process

SECONDS = 30.0
METRIC = re.compile(rf"[\w:]*{PREFIX}[\w:]+|\bALERTS\b|\bprocess_\w+")
OF_A_HISTOGRAM = re.compile(r"_(?:bucket|count|sum)$")
PANELS = panels()
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


@pytest.fixture(scope="module")
def run(broker: Broker, registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """Yield what Prometheus has seen of one faulty run."""
    folder: Path = tmp_path_factory.mktemp("faulty-run")
    with world(broker, registry, folder) as made, seen(made, SECONDS, folder) as done:
        yield done


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_query_of_a_panel_has_data(run: Seen, panel: dict[str, Any]) -> None:
    """What the panel asks is taken by Prometheus, and has at least one number for an answer."""
    for answer in answers(run, panel):
        assert answer.numbers, answer.target["expr"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_query_may_be_asked_of_some_lists(run: Seen, panel: dict[str, Any]) -> None:
    """With one list chosen, or several, Prometheus takes each query, and answers of no other list."""
    for chosen, lists in (({"vip"}, "4711"), ({"vip", "churn"}, "(4711|4712)")):
        for answer in answers(run, panel, connector=f"({'|'.join(chosen)})", list=lists):
            told = {labels["connector"] for labels, _ in answer.series if labels.get("connector")}
            assert told <= chosen or "$connector" not in answer.target["expr"], answer.target["expr"]


def test_what_the_run_did_is_seen(run: Seen) -> None:
    """Added and removed are people, the list that stands still is named, and both restarts are marked."""
    [lists, stands, *_] = PANELS
    added, removed, not_found, *_ = answers(run, lists)
    for each in (added, removed, not_found):
        assert {labels["list_name"] for labels, _ in each.series} == {"VIP", "Churn", "Everybody"}
        assert max(each.numbers) > 1
    [why] = answers(run, stands)
    assert {(labels["list_name"], labels["list_id"], labels["reason"]) for labels, _ in why.series} == {
        ("Everybody", str(EVERYBODY), "LIST_DYNAMIC")
    }
    [annotation] = json.loads(dashboard.FILE.read_text("utf-8"))["annotations"]["list"]
    restarts = series(run, fill(annotation["expr"], run.variables))
    assert len({labels["instance"] for labels, _ in restarts}) == 2


def test_every_variable_has_values(run: Seen) -> None:
    """People choose among what is there: deployments, connectors, and lists by their names."""
    found = {name: values(run, query, regex) for name, _, query, regex in source.VARIABLES}
    assert found == {
        "job": {"hubspot-list-sync"},
        "connector": {"vip", "churn", "everybody"},
        "list": {("4711", "VIP"), ("4712", "Churn"), (str(EVERYBODY), "Everybody")},
    }


def values(run: Seen, query: str, regex: str) -> set[Any]:
    """Do what Grafana does with the query of a variable."""
    [(function, inside)] = re.findall(r"^(\w+)\((.*)\)$", fill(query, run.variables))
    if function == "label_values":
        selector, _, label = inside.rpartition(", ")
        return set(run.prometheus.ask(f"label/{label}/values", **{"match[]": selector}))
    lines = [
        "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
        for labels, _ in series(run, inside, instant=True)
    ]
    pattern = re.compile(regex.strip("/").replace("(?<", "(?P<"))
    return {(match["value"], match["text"]) for line in lines if (match := pattern.search(line))}


def test_the_rules_hold_in_the_run(run: Seen) -> None:
    """A real Prometheus evaluates every rule without an error, and what it tells people has a name and no gap."""
    groups = run.prometheus.ask("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    alerts = run.prometheus.ask("alerts")["alerts"]
    told = {alert["labels"]["alertname"]: alert["annotations"]["summary"] for alert in alerts}
    assert told["HubSpotListSyncNeedsAttention"] == (
        f"The list Everybody (connector everybody, list {EVERYBODY}) stands still until somebody acts: LIST_DYNAMIC"
    )
    assert "HubSpotListSyncDeadLetters" in told
    assert not any("<error" in text for alert in alerts for text in alert["annotations"].values())


def test_the_file_is_what_the_source_says(tmp_path: Path) -> None:
    """Nobody has changed the file by hand, or the source without `make monitoring`."""
    dashboard.write(tmp_path / "dashboard.json")
    assert (tmp_path / "dashboard.json").read_text("utf-8") == dashboard.FILE.read_text("utf-8")


def test_every_panel_says_what_it_shows() -> None:
    """A panel has words, a unit, a place of its own, and metrics that are there or recorded."""
    known = {PREFIX + spec.name for spec in TABLE} | {each.name for each in rules.RECORDINGS}
    known |= {"ALERTS", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for target in panel["targets"]:
            names = {OF_A_HISTOGRAM.sub("", name) for name in METRIC.findall(target["expr"])}
            assert names, panel["title"]
            assert names <= known, panel["title"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS]
    assert len(set(places)) == len(places)


def test_every_alert_that_a_panel_goes_with_is_there() -> None:
    """A panel's link leads to the runbook's section of an alert."""
    alerts = {each.name for each in rules.ALERTS}
    assert {panel.alert for _, row in source.ROWS for panel in row if panel.alert} <= alerts


def test_provisioning_finds_source_and_dashboard() -> None:
    """What compose mounts into Grafana names the data source that the dashboard takes, and its folder."""
    yaml = YAML(typ="safe")
    [datasource] = yaml.load(PROVISIONING / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = yaml.load(PROVISIONING / "dashboards" / "hubspot-list-sync.yaml")["providers"]
    variables = json.loads(dashboard.FILE.read_text("utf-8"))["templating"]["list"]
    assert datasource["type"] == variables[0]["query"]
    assert (variables[0]["type"], provider["type"]) == ("datasource", "file")
