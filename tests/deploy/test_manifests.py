"""The manifests: right for Kubernetes, and what they promise to whoever runs the service there."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from consumer.settings import Settings, load
from tests.deploy.manifests import KUBERNETES, NAME, Document, check, container, one, pod, render, variant, within

pytestmark = pytest.mark.process

PRODUCTION = "production"
OVERLAYS = ("development", PRODUCTION)
SCALED = "production with KEDA"
GRACE = 30.0  # seconds that a pod has beyond shutdown.timeout
QUOTA = 110  # requests in ten seconds that HubSpot allows an account
SECRETS = "/var/run/secrets"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    """Give the documents of each overlay, and of production with KEDA, as its kustomization has it in a comment."""
    folder = tmp_path_factory.mktemp("scaled")
    keda = within(folder, KUBERNETES / "components" / "keda")
    return {
        **{overlay: render(KUBERNETES / "overlays" / overlay) for overlay in OVERLAYS},
        SCALED: variant(folder, PRODUCTION, components=[keda]),
    }


def configuration(documents: list[Document], folder: Path) -> Settings:
    """Read the configuration as the pod does: its secrets are where the Secrets are mounted, and nowhere else."""
    text = one(documents, "ConfigMap")["data"][f"{NAME}.yaml"].replace(SECRETS, str(folder))
    for mounted in secret_files(documents):
        file = Path(mounted.replace(SECRETS, str(folder)))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("made-up")
    (folder / "file.yaml").write_text(text)
    environ = {each["name"]: each.get("value", "made-up") for each in container(documents).get("env", ())}
    return load(folder / "file.yaml", environ)


def secret_files(documents: list[Document]) -> Iterator[str]:
    """Yield the path of each file of a Secret in the container."""
    secrets = {each["name"]: each["secret"] for each in pod(documents)["volumes"] if "secret" in each}
    for mount in container(documents)["volumeMounts"]:
        for item in secrets.get(mount["name"], {}).get("items", ()):
            yield f"{mount['mountPath']}/{item['path']}"


@pytest.mark.parametrize("overlay", [*OVERLAYS, SCALED])
def test_every_document_is_right(rendered: dict[str, list[Document]], overlay: str) -> None:
    """Kubernetes takes each of them, the two newest versions do, and there is no field that it would ignore."""
    for document in rendered[overlay]:
        check(document)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readinessProbe")),
        ("NetworkPolicy", ("spec", "egress", 0)),
        ("PodDisruptionBudget", ("spec",)),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0)),
        ("ScaledObject", ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", "scaleUp")),
        ("ScaledObject", ("spec", "triggers", 0, "metadata")),
        ("TriggerAuthentication", ("spec", "secretTargetRef", 0)),
    ],
)
def test_a_misspelt_field_is_found(
    rendered: dict[str, list[Document]], kind: str, place: tuple[str | int, ...]
) -> None:
    """What is checked above is strict: a field that no type has does not pass, wherever it stands."""
    document = copy.deepcopy(one(rendered[SCALED], kind))
    inner: Any = document
    for step in place:
        inner = inner[step]
    inner["misspelt"] = "x"
    with pytest.raises(ValueError, match="misspelt"):
        check(document)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_configuration_is_valid_in_the_pod(
    rendered: dict[str, list[Document]], overlay: str, tmp_path: Path
) -> None:
    """Every file and variable that it refers to is there; the port is that of the container; the quota is shared."""
    documents = rendered[overlay]
    settings = configuration(documents, tmp_path)
    [port] = container(documents)["ports"]
    assert (port["name"], port["containerPort"]) == ("http", settings.admin.address.port)
    replicas = one(documents, "Deployment")["spec"]["replicas"]
    assert all(each.requests_per_10s * replicas <= QUOTA for each in settings.accounts.values())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_has_time_to_stop(rendered: dict[str, list[Document]], overlay: str, tmp_path: Path) -> None:
    """Kubernetes kills well after the service has given up waiting by itself."""
    timeout = configuration(rendered[overlay], tmp_path).shutdown.timeout
    assert pod(rendered[overlay])["terminationGracePeriodSeconds"] >= timeout + GRACE


def test_a_changed_configuration_rolls_the_pods(rendered: dict[str, list[Document]], tmp_path: Path) -> None:
    """The name of the ConfigMap tells its content, and the Deployment refers to that name."""
    (tmp_path / f"{NAME}.yaml").write_text("kafka: {}\n")
    changed = variant(
        tmp_path,
        PRODUCTION,
        namespace=NAME,
        configMapGenerator=[{"name": NAME, "behavior": "replace", "files": [f"{NAME}.yaml"]}],
    )
    names = []
    for documents in (rendered[PRODUCTION], changed):
        names.append(one(documents, "ConfigMap")["metadata"]["name"])
        [volume] = [each for each in pod(documents)["volumes"] if "configMap" in each]
        assert volume["configMap"]["name"] == names[-1]
    assert names[0] != names[1]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_pod_is_restricted(rendered: dict[str, list[Document]], overlay: str) -> None:
    """It meets Kubernetes' strictest standard for pods, which its namespace asks for, and writes nowhere."""
    documents = rendered[overlay]
    labels = one(documents, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    spec, inner = pod(documents), container(documents)["securityContext"]
    assert {name: spec["securityContext"][name] for name in ("runAsNonRoot", "seccompProfile")} == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert inner == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()
    assert {kind for each in spec["volumes"] for kind in each} == {"name", "configMap", "secret"}
    assert spec["automountServiceAccountToken"] is False
    account = one(documents, "ServiceAccount")
    assert (account["metadata"]["name"], account["automountServiceAccountToken"]) == (spec["serviceAccountName"], False)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_referred_to_only(rendered: dict[str, list[Document]], overlay: str, tmp_path: Path) -> None:
    """No manifest holds a secret; each account has a Secret of its own, whose files only the pod's group can read."""
    documents = rendered[overlay]
    assert [each for each in documents if each["kind"] == "Secret"] == []
    volumes = [each["secret"] for each in pod(documents)["volumes"] if "secret" in each]
    accounts = configuration(documents, tmp_path).accounts
    assert {each["defaultMode"] for each in volumes} == {0o440}
    assert {f"{NAME}-{account}" for account in accounts} == {each["secretName"] for each in volumes} - {f"{NAME}-kafka"}
    assert pod(documents)["securityContext"]["fsGroup"] == pod(documents)["securityContext"]["runAsGroup"]
    files = {
        f"{SECRETS}/hubspot/{account}/{name}" for account in accounts for name in ("client-secret", "refresh-token")
    }
    assert {file for file in secret_files(documents) if "/hubspot/" in file} == files
    for each in container(documents).get("env", ()):
        assert "value" not in each or not any(word in each["name"] for word in ("PASSWORD", "SECRET", "TOKEN", "USER"))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_that_selects_pods_finds_them(rendered: dict[str, list[Document]], overlay: str) -> None:
    """Service, budget, network policy, spread and monitor mean the pods of the Deployment, and ports that they have."""
    documents = rendered[overlay]
    template = one(documents, "Deployment")["spec"]["template"]
    labels = {"app.kubernetes.io/name": NAME}
    assert template["metadata"]["labels"] == labels
    spread = [each["labelSelector"]["matchLabels"] for each in template["spec"]["topologySpreadConstraints"]]
    found = [
        one(documents, "Deployment")["spec"]["selector"]["matchLabels"],
        one(documents, "Service")["spec"]["selector"],
        one(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(each["spec"]["selector"]["matchLabels"] for each in documents if each["kind"] == "PodMonitor"),
        *spread,
    ]
    assert [each for each in found if each != labels] == []
    ports = [
        one(documents, "Service")["spec"]["ports"][0]["targetPort"],
        one(documents, "NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"],
        *(each["spec"]["podMetricsEndpoints"][0]["port"] for each in documents if each["kind"] == "PodMonitor"),
        *(container(documents)[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")),
    ]
    assert set(ports) == {"http"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_rollout_takes_one_pod_after_the_other(rendered: dict[str, list[Document]], overlay: str) -> None:
    """No pod comes beside the old ones, and none goes before the last is ready; likewise when nodes are drained."""
    documents = rendered[overlay]
    deployment = one(documents, "Deployment")["spec"]
    assert deployment["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert one(documents, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    probes = {probe: container(documents)[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness")}
    assert probes == {"liveness": "/livez", "readiness": "/readyz"}


def test_the_network_is_closed_but_for_what_is_needed(rendered: dict[str, list[Document]]) -> None:
    """Out: names, Kafka, the registry, HubSpot. In: Prometheus."""
    policy = one(rendered[PRODUCTION], "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]

    def peers(rules: list[Any], end: str) -> list[tuple[str, list[Any]]]:
        return [
            (
                each[end][0]
                .get("namespaceSelector", {})
                .get("matchLabels", {})
                .get("kubernetes.io/metadata.name", "*"),
                [port["port"] for port in each["ports"]],
            )
            for each in rules
        ]

    assert peers(policy["ingress"], "from") == [("monitoring", ["http"])]
    out = peers(policy["egress"], "to")
    assert [(name, ports) for name, ports in out if name in ("kube-system", "*")] == [
        ("kube-system", [53, 53]),
        ("*", [443]),
    ]
    assert [name for name, _ in out] == ["kube-system", "kafka", "schema-registry", "*"]


def test_keda_alone_owns_the_replicas(rendered: dict[str, list[Document]], tmp_path: Path) -> None:
    """With KEDA the Deployment says no number, and the trigger watches the group and topic of the configuration."""
    documents = rendered[SCALED]
    assert "replicas" not in one(documents, "Deployment")["spec"]
    assert one(rendered[PRODUCTION], "Deployment")["spec"]["replicas"] == 2
    scaled = one(documents, "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == one(documents, "Deployment")["metadata"]["name"]
    assert scaled["minReplicaCount"] >= 1
    settings = configuration(documents, tmp_path)
    metadata = scaled["triggers"][0]["metadata"]
    assert (metadata["bootstrapServers"], metadata["consumerGroup"], metadata["offsetResetPolicy"]) == (
        settings.kafka["bootstrap.servers"],
        settings.kafka["group.id"],
        settings.kafka["auto.offset.reset"],
    )
    assert settings.topics.changes == (metadata["topic"],) or list(settings.topics.changes) == [metadata["topic"]]
    up = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]
    assert up["stabilizationWindowSeconds"] > settings.hubspot.settle
    assert (
        scaled["triggers"][0]["authenticationRef"]["name"]
        == one(documents, "TriggerAuthentication")["metadata"]["name"]
    )


def test_each_overlay_says_which_image(rendered: dict[str, list[Document]]) -> None:
    """An image has a version; `latest` would be another one on each node."""
    for documents in rendered.values():
        name, _, tag = container(documents)["image"].rpartition(":")
        assert name.endswith(NAME)
        assert tag.count(".") == 2


def test_the_files_of_kubernetes_are_all_used() -> None:
    """A manifest that no kustomization names would be forgotten."""
    for folder in {file.parent for file in KUBERNETES.rglob("kustomization.yaml")}:
        made = YAML(typ="safe").load((folder / "kustomization.yaml").read_text())
        named = {
            "kustomization.yaml",
            *made["resources"],
            *(each["path"] for each in made.get("patches", ()) if "path" in each),
            *(name for each in made.get("configMapGenerator", ()) for name in each["files"]),
        }
        assert {file.name for file in folder.iterdir()} - named == set()
