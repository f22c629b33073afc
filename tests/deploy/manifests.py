"""What `kubectl apply -k` would send: overlays, rendered by kubectl's Kustomize, and held against the APIs' types."""

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes_validate import utils
from ruamel.yaml import YAML

from tests.house.tree import ROOT
from tests.real.processes import run

KUBERNETES = ROOT / "deploy" / "kubernetes"
NAME = "hubspot-list-sync"
NEWEST = 2  # versions of Kubernetes' API that a manifest must be right for

Document = dict[str, Any]

# Modules with the types of other APIs, generated from their definitions. By name, for they are large, and mypy need not
# read them.
_TYPES = {
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
}

# What KEDA's trigger `kafka` takes, which its type leaves open: https://keda.sh/docs/2.22/scalers/apache-kafka/
KAFKA_TRIGGER = frozenset(
    {
        "activationLagThreshold",
        "allowIdleConsumers",
        "bootstrapServers",
        "consumerGroup",
        "ensureEvenDistributionOfPartitions",
        "excludePersistentLag",
        "lagThreshold",
        "limitToPartitionsWithLag",
        "offsetResetPolicy",
        "partitionLimitation",
        "sasl",
        "scaleToZeroOnInvalidOffset",
        "tls",
        "topic",
        "unsafeSsl",
        "version",
    }
)


def program(name: str) -> Path:
    """Give a program that came with the tests' packages."""
    return Path(sys.executable).with_name(name)


def render(folder: Path) -> list[Document]:
    """Give the documents of an overlay."""
    text = run([program("kubectl"), "kustomize", folder]).decode()
    return [dict(each) for each in YAML(typ="safe").load_all(text)]


def variant(folder: Path, overlay: str, **more: Any) -> list[Document]:  # noqa: ANN401 - of a kustomization
    """Render an overlay with something more: `folder` gets a kustomization that is based on it."""
    base = within(folder, KUBERNETES / "overlays" / overlay)
    made = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [base], **more}
    with (folder / "kustomization.yaml").open("w") as file:
        YAML(typ="safe").dump(made, file)
    return render(folder)


def within(folder: Path, place: Path) -> str:
    """Write a place as a kustomization in `folder` must: relative to it."""
    return os.path.relpath(place, folder.resolve())


def one(documents: list[Document], kind: str) -> Document:
    """Give the only document of a kind."""
    [found] = [each for each in documents if each["kind"] == kind]
    return found


def pod(documents: list[Document]) -> dict[str, Any]:
    """Give what the Deployment makes pods from."""
    spec = one(documents, "Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def container(documents: list[Document]) -> dict[str, Any]:
    """Give the only container of the pod."""
    [only] = pod(documents)["containers"]
    assert isinstance(only, dict)
    return only


def check(document: Document) -> None:
    """Raise ValueError unless the document is right and has no unknown field.

    Kubernetes' own kinds are held against the newest versions of its API, others against their operators' types.
    """
    if types := _TYPES.get(document["apiVersion"]):
        model = getattr(importlib.import_module(types), document["kind"])
        kept = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
        if unknown := sorted(_missing(document, kept)):
            raise ValueError(
                f"{document['kind']} {document['metadata']['name']}: not in its type: {', '.join(unknown)}"
            )
    else:
        for version in utils.all_versions()[-NEWEST:]:
            try:
                utils.validate(document, version, strict=True)
            except utils.ValidationError as problem:
                raise ValueError(f"{document['kind']}: {problem.message}, says Kubernetes {version}") from problem
    for trigger in document["spec"].get("triggers", ()) if document["kind"] == "ScaledObject" else ():
        assert trigger["type"] == "kafka"
        if unknown := sorted(trigger["metadata"].keys() - KAFKA_TRIGGER):
            raise ValueError(f"KEDA's trigger kafka does not know {', '.join(unknown)}")
        if wrong := [name for name, value in trigger["metadata"].items() if not isinstance(value, str)]:
            raise ValueError(f"KEDA's triggers take text only, in quotes: {', '.join(wrong)}")


def _missing(given: object, kept: object, place: str = "") -> list[str]:
    """Name what was given and is not among what the type has kept."""
    match given, kept:
        case Mapping(), Mapping():
            gone = [f"{place}.{name}" for name in given.keys() - kept.keys()]
            return gone + [
                each
                for name in given.keys() & kept.keys()
                for each in _missing(given[name], kept[name], f"{place}.{name}")
            ]
        case list(), list():
            return [
                each
                for number, pair in enumerate(zip(given, kept, strict=True))
                for each in _missing(*pair, f"{place}[{number}]")
            ]
    return []
