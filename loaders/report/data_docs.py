"""Great Expectations' Data Docs as a site that needs no network.

Great Expectations' own site loads styles, fonts and scripts from public servers. Here its renderer
makes the content of every page, and a frame of ours stands around it: no script, styles inside.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loaders.quality.validations import results_folder
from loaders.report.html import TEMPLATES, environment

VIEWS = TEMPLATES / "data_docs"
#: Pages of expectation suites, which Great Expectations' pages link to, are not made: the suites
#: are in the repository, and each page lists its rules.
SUITE_LINK = re.compile(r'<a href="[^"]*expectations/[^"]*"\s*>([^<]*)</a>')


class NoResultsError(LookupError):
    """No gate has run yet."""


def write_data_docs() -> Path:
    """Write the site anew from the results that gates kept; the path of its first page.

    Raises:
        NoResultsError: no result is kept.
    """
    results = results_folder()
    files = sorted(results.glob("*/*.json"))
    if not files:
        raise NoResultsError(
            f"no results in {results}: run a gate first (nq42 import, or nq42 gate)"
        )
    site = results.parent / "site"
    with tempfile.TemporaryDirectory(dir=results.parent, prefix=".site.") as name:
        new = Path(name) / "site"
        for path, html in _pages(files):
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_text(html, encoding="utf-8")
        if site.exists():
            shutil.move(site, Path(name) / "old")
        new.rename(site)
    return site / "index.html"


def _pages(files: list[Path]) -> Iterator[tuple[str, str]]:
    # Importing Great Expectations takes seconds; only who builds the site pays for it.
    from great_expectations.core import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    import loaders.quality.query_rules  # noqa: F401 - makes the types of our rules known to the renderer

    view = DefaultJinjaPageView(custom_views_directory=str(VIEWS))
    renderer = ValidationResultsPageRenderer(run_info_at_end=True)
    suites: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        suite, period = file.parent.name, file.stem
        run = {
            "path": f"{suite}/{period}.html",
            "period": period,
            "success": document["success"],
            "met": document["statistics"]["successful_expectations"],
            "evaluated": document["statistics"]["evaluated_expectations"],
            "at": document["meta"]["run_id"]["run_time"][:16].replace("T", " "),
        }
        suites.setdefault(suite, []).insert(0, run)
        rules = [_rule(result["expectation_config"]) for result in document["results"]]
        rendered = renderer.render(expectationSuiteValidationResultSchema.load(document))
        content = SUITE_LINK.sub(r"\1", view.render(rendered, template="sections.j2"))
        # The frame is ours: Great Expectations escapes what it renders, not what a frame adds.
        frame = environment().get_template("data_docs/validation.html.j2")
        yield run["path"], frame.render(suite=suite, period=period, rules=rules, content=content)
    yield "index.html", environment().get_template("data_docs/index.html.j2").render(suites=suites)


def _rule(config: dict[str, Any]) -> dict[str, str]:
    rule_id, vi, en = config["meta"]["notes"]
    severity = config.get("severity") or ""
    return {"id": rule_id, "vi": vi, "en": en, "severity": severity, "type": config["type"]}
