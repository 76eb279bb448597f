"""The results as a picture: ratios beside their goals, how bulk rejections grow, rates of peers. Plain SVG."""

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from bench.measuring import Result

_WIDTH, _LABEL, _BAR, _STEP = 980, 430, 460, 22
_GROWTH = 240
_COLORS = ("#2563eb", "#0891b2", "#7c3aed", "#c2410c", "#15803d", "#be123c")


def draw(results: list[Result]) -> str:
    """One SVG document."""
    compared = [result for result in results if result.floor]
    bars = 40 + _STEP * len(compared)
    series = _series(results)
    height = bars + (_GROWTH + 60 + 16 * len(series) if series else 20)
    return _document(height, [*_bars(compared), *(_growth(series, bars + 30) if series else ())])


def draw_rates(title: str, rates: dict[str, float]) -> str:
    """One SVG document: a bar for each rate, ten times as much being as far everywhere."""
    body = [f'<text x="10" y="20" font-weight="bold">{escape(title)}, each line ten times the one before</text>']
    decades = max(1, math.ceil(math.log10(max(rates.values()))))
    bottom = 34 + _STEP * len(rates)
    for decade in range(decades + 1):
        x = _LABEL + 8 + decade / decades * _BAR
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="{bottom}" stroke="#d4d4d4"/>')
        body.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10**decade:,}</text>')
    for place, (name, rate) in enumerate(rates.items()):
        y = 34 + place * _STEP
        length = max(0.0, math.log10(rate)) / decades * _BAR
        color = _COLORS[0] if name.startswith("orderctl") else _COLORS[3]
        body.append(f'<text x="{_LABEL}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        body.append(f'<rect x="{_LABEL + 8}" y="{y}" width="{length:.1f}" height="15" fill="{color}" opacity="0.75"/>')
        body.append(f'<text x="{_LABEL + 14 + length:.1f}" y="{y + 12}">{rate:,.{1 if rate < 10 else 0}f}</text>')
    return _document(bottom + 30, body)


def _document(height: int, body: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif"'
        f' font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n'
    )


def _bars(results: list[Result]) -> Iterator[str]:
    yield '<text x="10" y="20" font-weight="bold">Time over the floor; the line is the goal</text>'
    most = max([3.0, *(max(each.ratio, each.goal or 0) for each in results)])
    for place, each in enumerate(results):
        y = 34 + place * _STEP
        length = each.ratio / most * _BAR
        color = "#15803d" if each.met else "#be123c"
        yield f'<text x="{_LABEL}" y="{y + 12}" text-anchor="end">{escape(each.name)}</text>'
        yield f'<rect x="{_LABEL + 8}" y="{y}" width="{length:.1f}" height="15" fill="{color}" opacity="0.75"/>'
        yield f'<text x="{_LABEL + 14 + length:.1f}" y="{y + 12}">{each.ratio:.2f}</text>'
        if each.goal is not None:
            goal = _LABEL + 8 + each.goal / most * _BAR
            yield f'<line x1="{goal:.1f}" x2="{goal:.1f}" y1="{y - 2}" y2="{y + 17}" stroke="black" stroke-width="2"/>'


def _series(results: list[Result]) -> dict[str, list[tuple[int, float]]]:
    """Microseconds an order by the number of orders, for each kind of rejection."""
    series: dict[str, list[tuple[int, float]]] = {}
    for each in results:
        if each.name.startswith("reject "):
            kind = each.name.partition(" by ")[2]
            series.setdefault(kind, []).append((each.units, each.ours.wall_s / each.units * 1e6))
    return {kind: points for kind, points in series.items() if len(points) > 1}


def _growth(series: dict[str, list[tuple[int, float]]], top: int) -> Iterator[str]:
    yield f'<text x="10" y="{top}" font-weight="bold">Microseconds an order, from few orders to many</text>'
    most = max(cost for points in series.values() for _, cost in points)
    sizes = sorted({size for points in series.values() for size, _ in points})

    def at(size: int, cost: float) -> tuple[float, float]:
        along = math.log10(size / sizes[0]) / math.log10(sizes[-1] / sizes[0])
        return 80 + along * 820, top + 10 + _GROWTH - cost / most * (_GROWTH - 20)

    for size in sizes:
        x, y = at(size, 0)
        yield f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{size:,}</text>'
    for place, (kind, points) in enumerate(series.items()):
        color = _COLORS[place % len(_COLORS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in sorted(points)))
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
        for size, cost in points:
            x, y = at(size, cost)
            yield f'<text x="{x + 4:.0f}" y="{y - 4:.0f}" fill="{color}">{cost:.0f}</text>'
        y = top + _GROWTH + 46 + 16 * place
        yield f'<text x="80" y="{y}" fill="{color}">{escape(kind)}</text>'
