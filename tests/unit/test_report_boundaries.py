"""Outlines of communes from a user's GeoJSON, and reports with and without them."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loaders.report import boundaries
from loaders.report.boundaries import BoundariesError, read_boundaries
from loaders.report.html import render_report
from loaders.settings import PROJECT_ROOT, Settings
from tests.report_pages import commune, parse, release_view

UNITS = [
    {
        "unit_id": row["unit_id"],
        "unit_code": row["unit_code"],
        "name_vi": row["name_vi"],
        "full_name_vi": row["full_name_vi"],
    }
    for row in (commune("cover", "1", number) for number in range(1, 6))
]


def square(west: float, south: float, side: float = 0.1) -> list[list[float]]:
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def collection() -> dict[str, Any]:
    """Five communes side by side, the third with a hole, the fourth of two parts."""
    features = []
    for number, unit in enumerate(UNITS):
        rings = [square(108 + number / 10, 15)]
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": rings}
        if number == 2:
            rings.append(square(108.24, 15.04, 0.02)[::-1])
        if number == 3:
            island = [square(109, 15.3, 0.05)]
            geometry = {"type": "MultiPolygon", "coordinates": [rings, island]}
        features.append(
            {
                "type": "Feature",
                "properties": {"code": unit["unit_code"], "full_name": unit["full_name_vi"]},
                "geometry": geometry,
            }
        )
    return {"type": "FeatureCollection", "features": features}


def write(folder: Path, document: Any) -> Path:
    path = folder / "communes.geojson"
    path.write_text(
        document if isinstance(document, str) else json.dumps(document), encoding="utf-8"
    )
    return path


def test_every_commune_becomes_a_closed_path_with_its_holes_and_parts(tmp_path: Path) -> None:
    found = read_boundaries(write(tmp_path, collection()), UNITS)
    assert set(found.paths) == {unit["unit_id"] for unit in UNITS}
    rings = [found.paths[unit["unit_id"]].count("z") for unit in UNITS]
    assert rings == [1, 1, 2, 2, 1]
    assert max(found.width, found.height) == boundaries.EXTENT
    # A square in degrees is narrower than high by the cosine of the latitude.
    steps = re.findall(r"-?\d+", found.paths[UNITS[0]["unit_id"]])
    across, up = int(steps[2]), -int(steps[5])
    assert across / up == pytest.approx(math.cos(math.radians(15.175)), abs=0.01)


def test_a_large_file_is_simplified_without_gaps(tmp_path: Path) -> None:
    document = collection()
    for number, feature in enumerate(document["features"]):
        west, east, side = 108 + number / 10, 108.1 + number / 10, range(4001)

        def wave(x: float, k: int) -> list[float]:
            return [x + 0.0004 * math.sin(k), 15 + k / 40000]

        left, right = [wave(west, k) for k in side], [wave(east, k) for k in side]
        ring = [*left, *reversed(right), left[0]]
        feature["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    path = write(tmp_path, document)
    found = read_boundaries(path, UNITS)
    assert sum(len(path) for path in found.paths.values()) < 100_000 < path.stat().st_size
    assert all(path.endswith("z") for path in found.paths.values())


def properties(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["features"][1]["properties"].update({name: value})


def geometry(value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["features"][1].update(geometry=value)


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


BOW_TIE = [[108.1, 15.0], [108.2, 15.1], [108.2, 15.0], [108.1, 15.1], [108.1, 15.0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (properties("code", "99999"), "code 99999: property `code`: not a commune of today"),
        (properties("code", 20002), "feature 2: property `code`: 20002 is not a text of five"),
        (properties("code", "20001"), "code 20001: property `code`: the commune has two features"),
        (properties("full_name", "Xã Khác"), "property `full_name`: 'Xã Khác', but 20002 is"),
        (lambda d: d["features"][1]["properties"].pop("code"), "`code`: missing (there are: full"),
        (lambda d: d["features"].pop(), "property `code`: no feature for 1 of 5 communes: 20005"),
        (lambda d: d.update(type="Topology"), "property `type`: not a FeatureCollection"),
        (geometry(None), "property `geometry`: missing is no area; give a Polygon"),
        (geometry({"type": "Point", "coordinates": [108, 15]}), "`geometry`: Point is no area"),
        (geometry(polygon(square(550_000, 1_650_000))), "is not in Viet Nam; export the file"),
        (geometry(polygon(square(15, 108))), "longitude before latitude"),
        (geometry(polygon(BOW_TIE)), "`geometry`: Self-intersection"),
        (geometry(polygon([[108, 15], "x"])), "`geometry`: coordinates cannot be read"),
        (geometry({"type": "Polygon", "coordinates": []}), "`geometry`: no coordinates"),
    ],
)
def test_what_cannot_be_used_is_named_with_rule_and_remedy(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    document = copy.deepcopy(collection())
    change(document)
    path = write(tmp_path, document)
    with pytest.raises(BoundariesError, match=re.escape(said)) as raised:
        read_boundaries(path, UNITS)
    assert "communes.geojson" in str(raised.value) and ";" in str(raised.value)


def test_what_is_no_geojson_is_named(tmp_path: Path) -> None:
    with pytest.raises(BoundariesError, match=r"communes\.geojson: not JSON .*; export"):
        read_boundaries(write(tmp_path, "{"), UNITS)
    with pytest.raises(BoundariesError, match=r"No such file .*NQ42_BOUNDARIES_GEOJSON"):
        read_boundaries(tmp_path / "none.geojson", UNITS)


def test_a_border_that_crosses_itself_by_little_is_mended(tmp_path: Path) -> None:
    document = collection()
    ring = square(108.1, 15)
    ring[2:2] = [[108.2, 15.05], [108.2001, 15.05], [108.2, 15.0499]]
    document["features"][1]["geometry"] = polygon(ring)
    assert read_boundaries(write(tmp_path, document), UNITS).paths


def test_a_name_may_be_spelt_in_another_form_of_unicode(tmp_path: Path) -> None:
    document = collection()
    document["features"][0]["properties"] = {"code": "20001", "name": "te\u0302n  1"}
    assert read_boundaries(write(tmp_path, document), UNITS).paths


# --- in the report ------------------------------------------------------------------------------


def test_the_report_draws_the_outlines(tmp_path: Path) -> None:
    page = parse(render_report(release_view(units=UNITS), write(tmp_path, collection())))
    (drawing,) = page.by_id("kpi-sample-cover").all("svg", "areas")
    areas = drawing.all("use")
    titles = [area.all("title")[0].text.replace("\N{NO-BREAK SPACE}", " ") for area in areas]
    assert "Xã Tên 1: 81,26 %" in titles and "Xã Tên 5: bảo mật (số ít người)" in titles
    assert len(areas) == 5 and len(drawing.all("use", "o")) == 1
    assert not page.all("svg", "tiles")
    for area in areas:  # each outline is there once
        assert page.by_id((area.attributes["href"] or "")[1:]).attributes["d"]


def test_the_setting_is_taken_from_the_project_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_BOUNDARIES_GEOJSON", "var/communes.geojson")
    assert Settings().boundaries_geojson == PROJECT_ROOT / "var" / "communes.geojson"
    monkeypatch.setenv("NQ42_BOUNDARIES_GEOJSON", "")
    assert Settings().boundaries_geojson is None


def test_communes_of_before_have_tiles_beside_outlines_of_today(tmp_path: Path) -> None:
    view = release_view(units=UNITS)
    old = [
        {**row, "unit_id": row["unit_id"].replace("2025-07-01", "2004")} for row in view.communes
    ]
    page = parse(
        render_report(release_view(units=UNITS, communes=old), write(tmp_path, collection()))
    )
    assert page.all("svg", "tiles") and not page.all("svg", "areas")


def test_a_file_that_cannot_be_used_is_said_and_the_maps_are_tiles(tmp_path: Path) -> None:
    page = parse(render_report(release_view(units=UNITS), write(tmp_path, "{")))
    assert page.all("svg", "tiles") and not page.all("svg", "areas")
    text = page.by_id("details").text
    assert "không dùng được tệp ranh giới" in text and "communes.geojson: not JSON" in text
    assert "ranh giới" not in parse(render_report(release_view())).by_id("details").text
