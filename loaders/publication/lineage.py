"""What each KPI's figures are made of: datasets and pieces of code, read from dbt's own manifest.

Lineage, as it is stored with a build and in the manifest of its release::

    {"parts": {"model kpi__x": sha256, "macro kpi_final": …, "seed programme_kpi, x": …, …},
     "common": {"figures": [parts that all figures have], "verdict": [… that all verdicts have]},
     "kpis": {"x": {"computed": {"inputs": [datasets], "has_own_denominator": true,
                                 "parts": [further parts], "definition": sha256},
                    "delivered": {…},   # figures that an agency delivers
                    "verdict": {…}}}}
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

PACKAGE = "nq42"
#: Where figures and verdicts come out.
FIGURES, VERDICTS = "fct_kpi_value", "fct_kpi_verdict"
#: The folder of the models that make one KPI each, and the macro that loops over all their inputs.
KPI_FOLDER, EVERY_INPUT = "kpi", "kpi_inputs"
#: The register of the computed KPIs: what of it concerns a KPI stands in its model's meta, so that
#: a line about another KPI is no change of this one.
REGISTER = {"computed_kpis", "dataset_frequency", EVERY_INPUT}
SETTING = re.compile(r"""\b(?:var|build_setting)\(\s*['"](\w+)['"]""")

Lineage = dict[str, Any]


def read_lineage(manifest: Path, project: Path, settings: Mapping[str, Any]) -> Lineage:
    """The lineage of every KPI of a build.

    Args:
        manifest: dbt's manifest.json of that build.
        project: the dbt project, for the rows of its seeds.
        settings: what of the installation's settings changes figures, by the name in dbt.
    """
    document = json.loads(manifest.read_text(encoding="utf-8"))
    return _Project(document, project, settings).lineage()


def all_parts(lineage: Lineage, kpi_id: str, kind: str) -> dict[str, str] | None:
    """Part → sha256 of one kind of a KPI's figures; None where the lineage has no such kind."""
    of = lineage.get("kpis", {}).get(kpi_id, {}).get(kind)
    if of is None:
        return None
    names = [*lineage["common"][_group(kind)], *of["parts"]]
    return {name: lineage["parts"][name] for name in names}


def _group(kind: str) -> str:
    return "verdict" if kind == "verdict" else "figures"


class _Project:
    def __init__(self, document: Any, folder: Path, settings: Mapping[str, Any]) -> None:
        self.nodes: dict[str, Any] = document["nodes"]
        self.sources: dict[str, Any] = document["sources"]
        self.macros: dict[str, Any] = document["macros"]
        self.folder, self.settings = folder, settings
        self.parts: dict[str, str] = {}
        self.seeds: dict[str, dict[str, list[list[str]]] | None] = {}

    def lineage(self) -> Lineage:
        kpis: dict[str, dict[str, Any]] = {}
        for node in self._kpi_models.values():
            computed = node["config"]["meta"]
            if "kpi_id" in computed:
                kpis.setdefault(computed["kpi_id"], {})["computed"] = self._computed(node)
                continue
            for kpi_id in sorted(self._kpis_of_seeds(node)):
                inputs, parts = self._walk(FIGURES, kpi_id, node["unique_id"])
                kpis.setdefault(kpi_id, {})["delivered"] = {"inputs": inputs, "parts": parts}
        for kpi_id, kinds in kpis.items():
            kinds["verdict"] = {"inputs": [], "parts": self._verdict(kpi_id)}
        common = {
            "figures": self._common(kpis, "figures"),
            "verdict": self._common(kpis, "verdict"),
        }
        for kinds in kpis.values():
            for kind, of in kinds.items():
                of["definition"] = _digest(
                    "\n".join(f"{name} {self.parts[name]}" for name in sorted(of["parts"]))
                )
                of["parts"] = sorted(of["parts"].difference(common[_group(kind)]))
        return {"parts": self.parts, "common": common, "kpis": dict(sorted(kpis.items()))}

    @staticmethod
    def _common(kpis: Mapping[str, Mapping[str, Any]], group: str) -> list[str]:
        found = [
            of["parts"]
            for kinds in kpis.values()
            for kind, of in kinds.items()
            if _group(kind) == group
        ]
        return sorted(set.intersection(*found)) if found else []

    @cached_property
    def _kpi_models(self) -> dict[str, Any]:
        return {
            node["unique_id"]: node
            for node in self.nodes.values()
            if node["resource_type"] == "model" and node["fqn"][1] == KPI_FOLDER
        }

    def _computed(self, node: Mapping[str, Any]) -> dict[str, Any]:
        meta = node["config"]["meta"]
        kpi_id, kpi = meta["kpi_id"], meta["kpi"]
        inputs, parts = self._walk(FIGURES, kpi_id, node["unique_id"], kpi["inputs"])
        parts.add(self._part(f"register, {kpi_id}", json.dumps(meta, sort_keys=True)))
        return {
            "inputs": sorted({*inputs, *kpi["inputs"]}),
            # With one input, numerator and denominator are of the same file.
            "has_own_denominator": len(kpi["inputs"]) > 1 or "denominator_vintage" in kpi,
            "parts": parts,
        }

    def _verdict(self, kpi_id: str) -> set[str]:
        """The code of the verdict; its figures and its target are seen in its own columns."""
        stop = {self._id(FIGURES)}
        _, parts = self._walk(VERDICTS, kpi_id, None, stop=stop)
        return parts

    def _walk(
        self,
        mart: str,
        kpi_id: str,
        model: str | None,
        inputs: list[str] | None = None,
        stop: set[str] | None = None,
    ) -> tuple[list[str], set[str]]:
        """Datasets and parts above a mart, of all KPI models only through the given one."""
        datasets, parts, seen, waiting = set(), set(), set(stop or ()), [self._id(mart)]
        while waiting:
            unique_id = waiting.pop()
            if unique_id in seen:
                continue
            seen.add(unique_id)
            if unique_id in self.sources:
                source = self.sources[unique_id]
                if source["schema"] == "raw":
                    datasets.add(source["identifier"])
                continue
            if unique_id in self._kpi_models and unique_id != model:
                continue
            node = self.nodes[unique_id]
            parts.update(self._parts_of(node, kpi_id))
            waiting.extend(self._parents(node, inputs))
        return sorted(datasets), parts

    def _parents(self, node: Any, inputs: list[str] | None) -> Iterator[str]:
        """Above a model that reads the inputs of every KPI, only those of this one."""
        depends_on = node["depends_on"]
        reads_all = f"macro.{PACKAGE}.{EVERY_INPUT}" in depends_on.get("macros", ())
        for parent in depends_on.get("nodes", ()):
            found = self._raw_tables(parent) if reads_all and inputs is not None else set()
            if not found or found & set(inputs or ()):
                yield parent

    def _raw_tables(self, unique_id: str) -> set[str]:
        """The raw tables that a model reads itself."""
        above = self.nodes.get(unique_id, {}).get("depends_on", {}).get("nodes", ())
        return {
            self.sources[parent]["identifier"]
            for parent in above
            if parent in self.sources and self.sources[parent]["schema"] == "raw"
        }

    # --- parts ----------------------------------------------------------------------------------

    def _parts_of(self, node: Any, kpi_id: str) -> Iterator[str]:
        if node["resource_type"] == "seed":
            yield self._seed_part(node, kpi_id)
            return
        yield from self._code(f"model {node['name']}", node["raw_code"])
        seen, waiting = set(), list(node["depends_on"]["macros"])
        while waiting:
            unique_id = waiting.pop()
            macro = self.macros.get(unique_id)
            if macro is None or unique_id in seen or macro["package_name"] != PACKAGE:
                continue
            seen.add(unique_id)
            if macro["name"] not in REGISTER:
                yield from self._code(f"macro {macro['name']}", macro["macro_sql"])
                waiting.extend(macro["depends_on"]["macros"])

    def _code(self, name: str, text: str) -> Iterator[str]:
        yield self._part(name, text)
        for setting in SETTING.findall(text):
            if setting in self.settings:
                yield self._part(f"setting {setting}", str(self.settings[setting]))

    def _seed_part(self, node: Any, kpi_id: str) -> str:
        """Of a seed by KPI its rows of this one; another seed as a whole."""
        rows = self._seed(node)
        if rows is None:
            return self._part(f"seed {node['name']}", node["checksum"]["checksum"])
        return self._part(f"seed {node['name']}, {kpi_id}", json.dumps(rows.get(kpi_id, [])))

    def _seed(self, node: Any) -> dict[str, list[list[str]]] | None:
        """KPI → its rows; None for a seed without a column kpi_id."""
        if node["name"] not in self.seeds:
            path = self.folder / node["original_file_path"]
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = list(csv.reader(file))
            if "kpi_id" in header:
                column, by_kpi = header.index("kpi_id"), {}
                for row in rows:
                    by_kpi.setdefault(row[column], [header]).append(row)
                self.seeds[node["name"]] = by_kpi
            else:
                self.seeds[node["name"]] = None
        return self.seeds[node["name"]]

    def _kpis_of_seeds(self, node: Any) -> set[str]:
        """The KPIs that all seeds of a model name."""
        parents = (self.nodes.get(parent) for parent in node["depends_on"]["nodes"])
        named = [
            set(rows)
            for seed in parents
            if seed and seed["resource_type"] == "seed" and (rows := self._seed(seed)) is not None
        ]
        return set.intersection(*named) if named else set()

    def _part(self, name: str, text: str) -> str:
        self.parts[name] = _digest(text)
        return name

    @staticmethod
    def _id(model: str) -> str:
        return f"model.{PACKAGE}.{model}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
