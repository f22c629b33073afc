"""What is counted of a profile."""

from pathlib import Path

from tests.bench.profile import count


def test_time_is_a_functions_own_and_all_its_callers(tmp_path: Path) -> None:
    """A sample counts once for each function on its stack, however often that calls itself, and whatever the line."""
    file = tmp_path / "samples"
    file.write_text("main (a.py:1);walk (b.py:2);walk (b.py:3) 4\nmain (a.py:9) 1\n")
    own, every = count(file)
    assert own == {"walk (b.py)": 4, "main (a.py)": 1}
    assert every == {"walk (b.py)": 4, "main (a.py)": 5}
