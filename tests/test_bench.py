import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_bench_measures_and_writes_its_results(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--smoke", "--row", "bulk", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads((tmp_path / "smoke.json").read_text())
    names = [row["name"] for row in document["rows"]]
    assert names == [f"reject 2,000 by filter, {engine}" for engine in ("sqlite", "postgresql")]
    assert all(row["ours"]["wall_s"] > 0 for row in document["rows"])
    assert (tmp_path / "smoke.svg").read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')
