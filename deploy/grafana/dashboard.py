"""The dashboard as Grafana reads it, made from `panels.py`; `make monitoring` writes it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.panels import RESTARTS, ROWS, VARIABLES
from deploy.prometheus.rules import RUNBOOK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.grafana.panels import Panel

FILE: Final = Path(__file__).with_name("dashboard.json")
UID: Final = "hubspot-list-sync"

_SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT: Final = 8  # of a panel, in rows of Grafana's grid


def _thresholds(panel: Panel) -> build.ThresholdsConfig:
    """Give green, and red on the wrong side of the panel's limit."""
    below, above = ("red", "green") if panel.least else ("green", "red")
    steps = [model.Threshold(value=None, color=below if panel.limit is not None else "green")]
    if panel.limit is not None:
        steps.append(model.Threshold(value=panel.limit, color=above))
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _targets(panel: Panel) -> Iterable[prometheus.Dataquery]:
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number)).datasource(_SOURCE)
        match panel.kind:
            case "table":
                yield target.instant().format(PromQueryFormat.TABLE)
            case "stat":
                yield target.instant().legend_format(query.legend)
            case _:
                yield target.range().legend_format(query.legend)


def _table(panel: Panel) -> table.Panel:
    """Give a table with a row for each set of labels, and a column for each query that has a legend."""
    value = "Value" if len(panel.queries) == 1 else "Value #{}"
    columns = {value.format(ref): query.legend for ref, query in zip("ABCDEFGH", panel.queries, strict=False)}
    unseen = ["Time", "job", *(column for column, legend in columns.items() if not legend)]
    options = {
        "excludeByName": dict.fromkeys(unseen, True),
        "renameByName": {"connector": "Connector", "list_id": "List id", "list_name": "List", "reason": "Reason"}
        | {column: legend for column, legend in columns.items() if legend},
    }
    made = table.Panel().show_header(show_header=True).decimals(0)
    made.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    made.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    percent = [model.DynamicConfigValue(id_val="unit", value="percentunit")]
    return made.override_by_name("Within 2 minutes", percent)


def _stat() -> stat.Panel:
    """Give a large number, coloured by the panel's limit."""
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().decimals(2).graph_mode(shapes.BigValueGraphMode.NONE).reduce_options(latest)


def _graph(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().legend(
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
        .show_legend(show_legend=True)
    )
    if panel.limit is not None:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(shapes.GraphTresholdsStyleMode.LINE))
    if panel.kind == "bars":
        made.draw_style(shapes.GraphDrawStyle.BARS).fill_opacity(60)
        made.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL))
    return made.line_width(1)


def _panel(panel: Panel) -> timeseries.Panel | table.Panel | stat.Panel:
    match panel.kind:
        case "table":
            made: timeseries.Panel | table.Panel | stat.Panel = _table(panel)
        case "stat":
            made = _stat()
        case _:
            made = _graph(panel)
    made.title(panel.title).description(panel.text).unit(panel.unit).datasource(_SOURCE)
    made.span(panel.width).height(_HEIGHT).thresholds(_thresholds(panel))
    for target in _targets(panel):
        made.with_target(target)
    if panel.alert:
        link = build.DashboardLink("Runbook").type(model.DashboardLinkType.LINK)
        made.links([link.url(f"{RUNBOOK}#{panel.alert.lower()}").target_blank(target_blank=True)])
    return made


def _variable(name: str, label: str, query: str, regex: str) -> build.QueryVariable:
    made = build.QueryVariable(name).label(label).datasource(_SOURCE).query(query)
    made.multi(multi=True).include_all(include_all=True).all_value(".*")
    made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    made.current(model.VariableOption(text="All", value="$__all", selected=True)).sort(
        model.VariableSort.ALPHABETICAL_ASC
    )
    return made.regex(regex) if regex else made


def dashboard() -> model.Dashboard:
    """Give the whole dashboard."""
    made = (
        build.Dashboard("HubSpot list sync")
        .uid(UID)
        .description("Keeps HubSpot Contact lists equal to audiences and journeys.")
        .tags(["hubspot", "kafka"])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-3h", "now")
        .refresh("30s")
        .link(build.DashboardLink("Runbook").type(model.DashboardLinkType.LINK).url(RUNBOOK).icon("doc"))
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .annotation(
            build.AnnotationQuery()
            .name("Restarts")
            .datasource(_SOURCE)
            .enable(enable=True)
            .icon_color("orange")
            .expr(RESTARTS)
        )
    )
    for each in VARIABLES:
        made.with_variable(_variable(*each))
    numbers = count(1)
    for title, panels in ROWS:
        made.with_row(build.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(_panel(panel).id(next(numbers)))
    return made.build()


def write(file: Path = FILE) -> None:
    """Write it."""
    file.write_text(json.dumps(dashboard(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    write()
