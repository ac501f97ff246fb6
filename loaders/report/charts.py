"""The geometry of the report's drawings; the templates draw them as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Number = Decimal | float | int

SPARK_WIDTH, SPARK_HEIGHT, SPARK_MARGIN = 132, 34, 5
TILE_WIDTH, TILE_HEIGHT, TILE_GAP = 60, 42, 2
LIST_COLUMNS = 12
COLOUR_CLASSES = 5


@dataclass(frozen=True)
class Sparkline:
    """A trend in a box of SPARK_WIDTH x SPARK_HEIGHT; `target_ys` are the edges of the target."""

    points: tuple[tuple[float, float], ...]
    target_ys: tuple[float, ...]

    @property
    def path(self) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


def sparkline(
    observations: Sequence[tuple[Number, Number]], targets: Sequence[Number] = ()
) -> Sparkline | None:
    """The trend through (decimal year, value) with the target's level; None without values."""
    if not observations:
        return None
    years = [float(year) for year, _ in observations]
    values = [float(value) for _, value in observations]
    levels = [float(target) for target in targets]
    low, high = min(values + levels), max(values + levels)
    inner_width, inner_height = SPARK_WIDTH - 2 * SPARK_MARGIN, SPARK_HEIGHT - 2 * SPARK_MARGIN

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(SPARK_MARGIN + inner_height * (1 - share), 1)

    def x(year: float) -> float:
        span = max(years) - min(years)
        share = (year - min(years)) / span if span else 1
        return round(SPARK_MARGIN + inner_width * share, 1)

    points = tuple((x(year), y(value)) for year, value in zip(years, values, strict=True))
    return Sparkline(points, tuple(y(level) for level in levels))


@dataclass(frozen=True)
class Bar:
    """A stacked bar in a box of SPARK_WIDTH x SPARK_HEIGHT; the second part lies on the first."""

    x: float
    width: float
    first_height: float
    second_height: float


def bars(amounts: Sequence[tuple[Number, Number]]) -> tuple[Bar, ...]:
    """One bar for each pair of parts, from the left; a part that is not 0 can always be seen."""
    highest = max((float(first) + float(second) for first, second in amounts), default=0)
    step = SPARK_WIDTH / max(len(amounts), 6)

    def height(amount: Number) -> float:
        if not amount:
            return 0
        return round(max(float(amount) / highest * (SPARK_HEIGHT - 4), 1.5), 1)

    return tuple(
        Bar(round(index * step, 1), round(step * 0.75, 1), height(first), height(second))
        for index, (first, second) in enumerate(amounts)
    )


@dataclass(frozen=True)
class Tile:
    """The place of a unit: left upper corner, and its name in one or two lines."""

    unit_id: str
    x: int
    y: int
    name_lines: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Tiles and row headings (x, y, text) of one set of units, and the size of the drawing."""

    tiles: tuple[Tile, ...]
    headings: tuple[tuple[int, int, str], ...]
    width: int
    height: int
    is_geographic: bool


def layout(units: Sequence[Mapping[str, Any]]) -> Layout:
    """Tiles near to where the units lie, or by district where the places are not known."""
    if units and all(
        unit["latitude"] is not None and unit["longitude"] is not None for unit in units
    ):
        return _geographic(units)
    return _by_district(units)


def _geographic(units: Sequence[Mapping[str, Any]]) -> Layout:
    ordered = sorted(units, key=lambda unit: unit["unit_id"])
    places = _grid_places([(unit["longitude"], unit["latitude"]) for unit in ordered])
    first_column = min(column for column, _ in places)
    first_row = min(row for _, row in places)
    tiles = tuple(
        Tile(
            unit["unit_id"],
            (column - first_column) * (TILE_WIDTH + TILE_GAP),
            (row - first_row) * (TILE_HEIGHT + TILE_GAP),
            _name_lines(unit["name_vi"]),
        )
        for unit, (column, row) in zip(ordered, places, strict=True)
    )
    return _sized(tiles, (), is_geographic=True)


def _grid_places(positions: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """One free cell of a grid for each (longitude, latitude), near to it: (column, row).

    Each takes its nearest free cell, then pairs swap while that brings them nearer together.
    """
    count = len(positions)
    west, east = min(x for x, _ in positions), max(x for x, _ in positions)
    south, north = min(y for _, y in positions), max(y for _, y in positions)
    # Room for two thirds more than there are units, because a province does not fill a rectangle.
    side = max(1, math.ceil(math.sqrt(count * 1.65)))
    wanted = [
        (
            (x - west) / (east - west or 1) * (side - 1),
            (north - y) / (north - south or 1) * (side - 1),
        )
        for x, y in positions
    ]
    cells = [(column, row) for column in range(side) for row in range(side)]

    def cost(unit: int, cell: tuple[int, int]) -> float:
        return (wanted[unit][0] - cell[0]) ** 2 + (wanted[unit][1] - cell[1]) ** 2

    free = set(cells)
    places: dict[int, tuple[int, int]] = {}
    for unit in sorted(range(count), key=lambda unit: (min(cost(unit, c) for c in cells), unit)):
        places[unit] = min(free, key=lambda cell: (cost(unit, cell), cell))
        free.remove(places[unit])
    improved = True
    while improved:
        improved = False
        for one in range(count):
            for cell in sorted(free):
                if cost(one, cell) < cost(one, places[one]) - 1e-9:
                    free.add(places[one])
                    free.remove(cell)
                    places[one], improved = cell, True
            for other in range(one + 1, count):
                apart = cost(one, places[one]) + cost(other, places[other])
                if cost(one, places[other]) + cost(other, places[one]) < apart - 1e-9:
                    places[one], places[other] = places[other], places[one]
                    improved = True
    return [places[unit] for unit in range(count)]


def _by_district(units: Sequence[Mapping[str, Any]]) -> Layout:
    districts: dict[str, list[Mapping[str, Any]]] = {}
    for unit in sorted(units, key=lambda unit: (unit["district_vi"] or "", unit["sort_key"] or "")):
        districts.setdefault(unit["district_vi"] or "", []).append(unit)
    tiles, headings, y = [], [], 0
    for district, members in districts.items():
        if district:
            headings.append((0, y + 14, district))
            y += 20
        for index, unit in enumerate(members):
            column, row = index % LIST_COLUMNS, index // LIST_COLUMNS
            tiles.append(
                Tile(
                    unit["unit_id"],
                    column * (TILE_WIDTH + TILE_GAP),
                    y + row * (TILE_HEIGHT + TILE_GAP),
                    _name_lines(unit["name_vi"]),
                )
            )
        y += math.ceil(len(members) / LIST_COLUMNS) * (TILE_HEIGHT + TILE_GAP) + 6
    return _sized(tuple(tiles), tuple(headings), is_geographic=False)


def _sized(
    tiles: tuple[Tile, ...], headings: tuple[tuple[int, int, str], ...], *, is_geographic: bool
) -> Layout:
    width = max((tile.x + TILE_WIDTH for tile in tiles), default=0)
    height = max((tile.y + TILE_HEIGHT for tile in tiles), default=0)
    return Layout(tiles, headings, width, height, is_geographic)


def tiles_path(tiles: Iterable[Tile]) -> str:
    """The outlines of tiles as one SVG path."""
    return "".join(
        f"M{tile.x} {tile.y}h{TILE_WIDTH}v{TILE_HEIGHT}h-{TILE_WIDTH}z" for tile in tiles
    )


def tiles_hatching(tiles: Iterable[Tile]) -> str:
    """Diagonals over tiles as one SVG path: a pattern would be printed as an image of the map."""
    third, width = TILE_HEIGHT // 3, TILE_WIDTH // 3
    return "".join(
        f"M{tile.x} {tile.y + 2 * third}l{2 * width}-{2 * third}"
        f"M{tile.x} {tile.y + TILE_HEIGHT}l{TILE_WIDTH}-{TILE_HEIGHT}"
        f"M{tile.x + width} {tile.y + TILE_HEIGHT}l{2 * width}-{2 * third}"
        for tile in tiles
    )


def _name_lines(name: str) -> tuple[str, ...]:
    """A long name in two lines of about the same length."""
    words = name.split()
    if len(name) <= 11 or len(words) == 1:
        return (name,)
    breaks = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return min(breaks, key=lambda lines: max(len(line) for line in lines))


def colour_limits(values: Sequence[Number]) -> tuple[float, ...]:
    """Upper limits of the colour classes: as many units in each as ties allow."""
    ordered = sorted(float(value) for value in values)
    if not ordered:
        return ()
    cuts = (ordered[math.ceil(len(ordered) * k / COLOUR_CLASSES) - 1] for k in range(1, 6))
    return tuple(dict.fromkeys(cuts))


def colour_class(value: Number, limits: Sequence[float]) -> int:
    """The class of a value, 0 the lightest."""
    return next(i for i, limit in enumerate(limits) if float(value) <= limit)
