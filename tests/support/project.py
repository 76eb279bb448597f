"""Where the project lies, and the Python files that are its own."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_files(*folders):
    """Those of the folders, without the environments of other projects that `make bench-peers` sets up."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if not path.is_relative_to(ROOT / "bench" / "data")]
