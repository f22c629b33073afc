"""What no file of the tree may hold, and what every test and every lint exception must say."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.house.tree import texts

pytestmark = pytest.mark.process  # asks git which files there are

# Name and end apart, or this file would hold what it looks for.
REGISTRIES = {
    "pypi": "org",
    "pythonhosted": "org",
    "npmjs": "org",
    "maven": "org",
    "crates": "io",
    "rubygems": "org",
    "deb.debian": "org",
    "proxy.golang": "org",
}
HOSTS = re.compile("|".join(rf"\b{re.escape(name)}\.{end}\b" for name, end in REGISTRIES.items()))
HOMES = re.compile(r"(?<![\w./~-])/(?:work|root|home/\w+|Users/\w+|tmp)/\w")
# What credentials look like: a PEM key, and the tokens of HubSpot, GitHub, AWS and Slack.
CREDENTIALS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\bpat-(?:na|eu)\d-[0-9a-f]{8}-"
    r"|\bgh[opsu]_\w{30}"
    r"|\bgithub_pat_\w{22}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\bxox[abpr]-\w{10}"
)
IN_LOCKS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links[ =]|--trusted-host")

NOQA = re.compile(r"#\s*noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \w.{3}")
IGNORE = re.compile(r"#\s*type: ignore\[[\w, -]+\]\s+# \w.{3}")

# Ways to patch what should have a seam, to sleep where a clock can be scripted, and to leave a test out.
BANNED_MODULES = {"mock", "unittest.mock"}
BANNED_NAMES = {
    "monkeypatch.setattr",
    "mocker.patch",
    "time.sleep",
    "asyncio.sleep",
    "pytest.skip",
    "pytest.xfail",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
}

# What users of other libraries would write is measured; it tests nothing, and waits as its documentation says.
MEASURED = "tests/bench/peers/with_"


def _python(folder: str = "") -> Iterator[tuple[str, str]]:
    return ((path, text) for path, text in texts() if path.endswith(".py") and path.startswith(folder))


def _found(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _dotted(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return ""


def _used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of all that a module imports or looks into."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                yield node.lineno, str(module)
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.Attribute():
                yield node.lineno, _dotted(node)


def test_no_address_of_a_package_registry() -> None:
    """Where packages come from is for whoever installs to say, so no file names a registry."""
    assert _found(HOSTS) == []


def test_no_path_of_somebodys_machine() -> None:
    """What is in the tree works wherever it is cloned to."""
    assert _found(HOMES) == []


def test_nothing_looks_like_a_credential() -> None:
    """The secrets in tests and examples are made up, and look it."""
    assert _found(CREDENTIALS) == []


def test_locks_name_versions_and_hashes_only() -> None:
    """A lock file says what to install and never where from."""
    locks = {path: text for path, text in texts() if path.endswith("requirements.txt")}
    assert len(locks) == 4
    for path, text in locks.items():
        assert [line for line in text.splitlines() if IN_LOCKS.search(line)] == [], path
        assert re.findall(r"^[\w.-]+(?!.*==)", text, re.MULTILINE) == [], f"{path}: not pinned"


def test_every_test_tells_its_promise() -> None:
    """A test's docstring is a sentence, so a list of them says what the program does."""
    lacking = [
        f"{path}:{node.lineno}: {node.name}"
        for path, text in _python("tests/")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").endswith(".")
    ]
    assert lacking == []


def test_every_lint_exception_has_its_reason() -> None:
    """Who silences a linter says why, on the same line."""
    bare = [
        f"{path}:{number}: {comment}"
        for path, text in _python()
        for number, comment in _comments(text)
        if ("noqa" in comment and not NOQA.search(comment))
        or (re.search(r"type:\s*ignore", comment) and not IGNORE.search(comment))
    ]
    assert bare == []


def test_tests_neither_patch_nor_sleep_nor_skip() -> None:
    """A test puts a fake behind a seam, tells the clock what time it is, and always runs."""
    banned = [
        f"{path}:{line}: {name}"
        for path, text in _python("tests/")
        for line, name in _used(ast.parse(text))
        if not path.startswith(MEASURED) and name in BANNED_MODULES | BANNED_NAMES
    ]
    assert banned == []
