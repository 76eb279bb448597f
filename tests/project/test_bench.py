import json
import re
import subprocess
import sys
from email import message_from_bytes
from importlib.util import find_spec, module_from_spec

import pytest
from bench.goals import Goal, goals_of
from bench.measuring import Cost, Result
from bench.picture import draw_rates
from bench.without import MESSAGE, WITHOUT

from orderctl.delivery.outbox import DeliveryState
from orderctl.mail.outbox import Letter, Mail
from support.factories import NOW
from support.project import ROOT


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
    naive = [f"reject 2,000 by filter, {engine}" for engine in ("sqlite", "postgresql")]
    assert names == [row for name in naive for row in (name, f"today's indexes: {name}")]
    assert all(row["ours"]["wall_s"] > 0 for row in document["rows"])
    assert [(goal["name"], goal["bound"]) for goal in document["goals"]] == [
        *((name, 1.2) for name in naive),
        *((f"memory: {name}", 400) for name in naive),
    ]
    assert "of 4 goals are met" in ran.stdout
    assert (tmp_path / "smoke.svg").read_text().startswith('<svg xmlns="http://www.w3.org/2000/svg"')


def test_a_goal_says_by_how_much_it_is_missed():
    assert Goal("a ratio", 1.5, 1.5).verdict == "met"
    assert Goal("a ratio", 1.8, 1.5).verdict == "missed by 20%"
    assert Goal("a rate", 15, 30, at_least=True).verdict == "missed by 50%"


def test_the_time_per_order_may_grow_by_a_fifth():
    few, many = (
        Result(f"reject {units:,} by ids, sqlite", Cost(seconds, seconds, 9), None, None, units=units)
        for units, seconds in ((10_000, 0.5), (1_000_000, 55.0))
    )
    (grown,) = goals_of([few, many])
    assert (round(grown.value, 2), grown.bound, grown.met) == (1.1, 1.2, True)
    assert list(goals_of([many])) == []


def test_a_rate_ten_times_as_high_is_a_step_further_in_the_picture():
    picture = draw_rates("Orders", {"R&D": 0.5, "ten": 10, "hundred": 100, "thousand": 1000})
    assert {"R&amp;D", "0.5", "1,000"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", picture))
    lengths = [float(width) for width in re.findall(r'width="([\d.]+)" height="15"', picture)]
    assert lengths == pytest.approx([0, lengths[1], 2 * lengths[1], 3 * lengths[1]], abs=0.2)


@pytest.mark.parametrize("trick", WITHOUT)
def test_a_trick_that_is_taken_out_is_one_of_the_program(trick):
    name, change = WITHOUT[trick]
    module = module_from_spec(find_spec(name))
    module.__spec__.loader.exec_module(module)
    before = dict(vars(module))
    change(module)
    changed = {name for name, value in vars(module).items() if value is not before.get(name)}
    assert changed
    assert changed <= set(before)


def test_a_message_says_the_same_without_the_trick():
    module = module_from_spec(find_spec(WITHOUT[MESSAGE][0]))
    module.__spec__.loader.exec_module(module)
    mail = Mail(
        id="7.1", batch_id="7", buyer_id="b1", recipient="mia@shop.example", language="de",
        message_id="<7.1@brand.example>", state=DeliveryState.WAITING, attempts=0, next_attempt_at=NOW, created_at=NOW,
        updated_at=NOW, last_error="", orders=1,
    )  # fmt: skip
    letter = Letter(subject="Schöne Grüße", text="Größe M\n", html='<html lang="de"><p>Größe M</p></html>')
    messages = []
    for change in (lambda _: None, WITHOUT[MESSAGE][1]):
        change(module)
        message = message_from_bytes(module.build_message(mail, letter, sender="a@b.example", reply_to=None))
        parts = [(part.get_content_type(), part.get_payload(decode=True)) for part in message.walk()]
        messages.append((message["Subject"], parts))
    assert messages[0] == messages[1]
