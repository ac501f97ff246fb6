"""Outlines of today's communes from a GeoJSON file of the user, as SVG paths.

One feature a commune, in WGS 84 (RFC 7946), with its five-digit code in the property `code`, and
its name in `full_name` or `name` where the file has one.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry

#: Size of the drawing in its own units; whole numbers are a tenth of a pixel or less.
EXTENT = 6000
#: More points than this make the report heavy and no map clearer.
MOST_POINTS = 7000
#: A border that crosses itself is mended where that changes no more of the area.
MENDED_SHARE = 0.01
#: Viet Nam and its islands, in degrees: west, south, east, north.
FRAME = (102.0, 6.0, 118.0, 24.0)
CODE = re.compile(r"\d{5}")
SHOWN = 5
_FIX_WGS = "export the file again as WGS 84 (EPSG:4326), longitude before latitude"


class BoundariesError(ValueError):
    """The file cannot be used: it names the feature, the property, the rule and what to do."""


@dataclass(frozen=True)
class Boundaries:
    """SVG paths by unit_id, and the size of the drawing that they are made for."""

    paths: Mapping[str, str]
    width: int
    height: int


def read_boundaries(path: Path, units: Sequence[Mapping[str, Any]]) -> Boundaries:
    """The outlines of `units`: rows of dim_unit for every commune of today.

    Raises:
        BoundariesError: unreadable, not GeoJSON, or not exactly these communes.
    """
    by_code = {unit["unit_code"]: unit for unit in units}
    found: dict[str, Any] = {}
    for number, feature in enumerate(_features(path), start=1):
        where = f"{path.name}: feature {number}"
        code = _code(where, feature)
        where = f"{where}, code {code}"
        if code not in by_code:
            raise BoundariesError(
                f"{where}: property `code`: not a commune of today; remove the feature, or use "
                "the codes in force since 01/07/2025"
            )
        if by_code[code]["unit_id"] in found:
            raise BoundariesError(
                f"{where}: property `code`: the commune has two features; make one MultiPolygon"
            )
        _check_name(where, feature["properties"], by_code[code])
        found[by_code[code]["unit_id"]] = _area(where, feature)
    missing = sorted(unit["unit_code"] for unit in units if unit["unit_id"] not in found)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise BoundariesError(
            f"{path.name}: property `code`: no feature for {len(missing)} of {len(units)} "
            f"communes: {', '.join(missing[:SHOWN])}{more}; add them, every commune needs one"
        )
    return _drawn(found)


def _features(path: Path) -> list[Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoundariesError(
            f"{path}: {error.strerror}; correct NQ42_BOUNDARIES_GEOJSON, or remove it"
        ) from error
    except ValueError as error:
        raise BoundariesError(
            f"{path.name}: not JSON ({error}); export the file again as GeoJSON"
        ) from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise BoundariesError(
            f"{path.name}: property `type`: not a FeatureCollection with `features`; export the "
            "layer of the communes as GeoJSON"
        )
    return features


def _code(where: str, feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict) or "code" not in properties:
        names = ", ".join(sorted(map(str, properties))) if isinstance(properties, dict) else "none"
        raise BoundariesError(
            f"{where}: property `code`: missing (there are: {names or 'none'}); rename the column "
            "that has the five-digit commune code"
        )
    code = properties["code"]
    if not isinstance(code, str) or not CODE.fullmatch(code):
        raise BoundariesError(
            f"{where}: property `code`: {code!r} is not a text of five digits; write it with its "
            "zeros, in quotes"
        )
    return code


def _check_name(where: str, properties: Mapping[str, Any], unit: Mapping[str, Any]) -> None:
    """The code alone does not tell a commune of today from one of before with the same code."""
    known = {_plain(unit[name]) for name in ("full_name_vi", "name_vi") if unit[name]}
    for name in ("full_name", "name"):
        given = properties.get(name)
        if isinstance(given, str) and given and _plain(given) not in known:
            raise BoundariesError(
                f"{where}: property `{name}`: {given!r}, but {unit['unit_code']} is "
                f"{unit['full_name_vi'] or unit['name_vi']!r} today; the file may be of before "
                "01/07/2025, when most codes meant other communes"
            )


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _area(where: str, feature: Mapping[str, Any]) -> Any:
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise BoundariesError(
            f"{where}: property `geometry`: {kind or 'missing'} is no area; give a Polygon or a "
            "MultiPolygon"
        )
    try:
        area = shapely.force_2d(shapely.geometry.shape(geometry))
    except (ValueError, TypeError, IndexError, KeyError, shapely.errors.ShapelyError) as error:
        raise BoundariesError(
            f"{where}: property `geometry`: coordinates cannot be read ({error}); export it again"
        ) from error
    if area.is_empty:
        raise BoundariesError(f"{where}: property `geometry`: no coordinates; draw the commune")
    west, south, east, north = area.bounds
    inside = FRAME[0] <= west and FRAME[1] <= south and east <= FRAME[2] and north <= FRAME[3]
    if not inside:
        raise BoundariesError(
            f"{where}: property `geometry`: ({west:g}, {south:g}) is not in Viet Nam; {_FIX_WGS}"
        )
    return _valid(where, area)


def _valid(where: str, area: Any) -> Any:
    """The area; where simplifying has made its border cross itself by a little, without that."""
    if area.is_valid:
        return area
    parts = shapely.get_parts(shapely.make_valid(area))
    mended = shapely.union_all([part for part in parts if part.geom_type.endswith("Polygon")])
    if abs(mended.area - area.area) > MENDED_SHARE * area.area:
        raise BoundariesError(
            f"{where}: property `geometry`: {shapely.is_valid_reason(area)}; repair it with your "
            "GIS (QGIS: “Fix geometries”)"
        )
    return mended


def _drawn(areas: Mapping[str, Any]) -> Boundaries:
    ids = sorted(areas)
    shapes = np.array([areas[unit_id] for unit_id in ids])
    west, south, east, north = shapely.total_bounds(shapes)
    # A degree of longitude is shorter than one of latitude by the cosine of the latitude.
    across = math.cos(math.radians((south + north) / 2))
    scale = EXTENT / max((east - west) * across, north - south)

    def to_drawing(places: np.ndarray) -> np.ndarray:
        x = (places[:, 0] - west) * across * scale
        return np.column_stack([x, (north - places[:, 1]) * scale])

    shapes = _simpler(shapely.transform(shapes, to_drawing))
    width, height = math.ceil((east - west) * across * scale), math.ceil((north - south) * scale)
    paths = {unit_id: _path(shape) for unit_id, shape in zip(ids, shapes, strict=True)}
    return Boundaries(paths, width, height)


def _simpler(shapes: np.ndarray) -> np.ndarray:
    """The same areas with few enough points; neighbours keep one common border."""
    found, tolerance = shapes, 8.0
    while shapely.get_num_coordinates(found).sum() > MOST_POINTS and tolerance < EXTENT:
        found = shapely.coverage_simplify(shapes, tolerance)
        tolerance *= 1.5
    return found


def _path(shape: Any) -> str:
    rings: Iterable[Any] = (
        ring
        for polygon in shapely.get_parts(shape)
        for ring in (polygon.exterior, *polygon.interiors)
    )
    return "".join(_ring(np.rint(shapely.get_coordinates(ring)).astype(int)) for ring in rings)


def _ring(places: np.ndarray) -> str:
    """A closed ring in steps from point to point, which are shorter to write than places."""
    steps = np.diff(places[:-1], axis=0)
    moved = steps[np.any(steps != 0, axis=1)]
    line = " ".join(f"{x} {y}" for x, y in moved)
    return f"M{places[0][0]} {places[0][1]}l{line}z" if line else ""
