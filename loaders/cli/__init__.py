"""The `nq42` command: its verbs are the stage words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from loaders.cli.audit import audit_app
from loaders.cli.common import console, errors, plain_errors, print_record
from loaders.cli.docs import docs_app
from loaders.cli.export import export
from loaders.cli.history import add_history
from loaders.cli.operations import add_operations
from loaders.cli.rules import rules
from loaders.cli.trace import add_trace
from loaders.log import configure_logging
from loaders.settings import PROJECT_ROOT, get_settings

app = typer.Typer(
    name="nq42",
    help="Kho dữ liệu chính sách xã hội Quảng Ngãi / Quảng Ngãi's social-policy warehouse.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
contracts_app = typer.Typer(help="Data contracts of the sources.", no_args_is_help=True)
postgres_app = typer.Typer(help="The embedded PostgreSQL server.", no_args_is_help=True)
new_app = typer.Typer(help="Starting points for a source or a KPI.", no_args_is_help=True)
app.add_typer(contracts_app, name="contracts")
app.add_typer(new_app, name="new")
app.add_typer(postgres_app, name="postgres")
add_history(audit_app)
add_trace(audit_app)
app.add_typer(audit_app, name="audit")
app.add_typer(docs_app, name="docs")
app.command()(rules)
app.command()(export)
add_operations(app)

Source = Annotated[str, typer.Argument(help="Source system, such as health.")]
DatasetName = Annotated[str, typer.Argument(help="Dataset of the source, such as staff.")]
Month = Annotated[str, typer.Argument(help="Month YYYY-MM.")]
Part = Literal["prepare", "api-server", "scheduler", "dag-processor", "triggerer", "worker"]
RunId = Annotated[str, typer.Option(help="Name of the run in the audit trail.")]


@app.callback()
def _start() -> None:
    with plain_errors():  # a setting that is wrong is one clear message too
        configure_logging(get_settings().log_format)


@app.command()
def setup() -> None:
    """Migrate the database, create the raw tables and load geography and programme."""
    from loaders.stages.setup import prepare_warehouse

    with plain_errors():
        prepare_warehouse()
    console.print("warehouse is ready")


@app.command()
def land(source: Source, dataset: DatasetName, period: Month, run_id: RunId = "manual") -> None:
    """Store one delivery unchanged, with a receipt."""
    from loaders.stages.land import land as stage

    with plain_errors():
        print_record(stage(source, dataset, period, run_id), failed=("refused",))


@app.command()
def load(batch_id: str, run_id: RunId = "manual") -> None:
    """Read a landed batch into its stage table."""
    from loaders.stages.load import load as stage

    with plain_errors():
        print_record(stage(batch_id, run_id), failed=("refused",))


@app.command()
def gate(subject_id: str, run_id: RunId = "manual") -> None:
    """Judge a batch (16 hex digits) or a candidate (YYYY-MM-…)."""
    from loaders.stages.gate import gate_intake, gate_release

    with plain_errors():
        stage = gate_release if "-" in subject_id else gate_intake
        print_record(stage(subject_id, run_id), failed=("held",))


@app.command("import")
def import_(source: Source, period: Month, run_id: RunId = "manual") -> None:
    """Land, load and gate every dataset of a source for one month."""
    from loaders.stages.intake import import_source

    with plain_errors():
        results = import_source(source, period, run_id)
    console.print_json(json.dumps([r.to_dict() for r in results], ensure_ascii=False))
    if any(result.status in ("refused", "held") for result in results):
        raise typer.Exit(2)


@app.command()
def build(period: Month, run_id: RunId = "manual") -> None:
    """Compute candidate marts with dbt."""
    from loaders.stages.build import build as stage

    with plain_errors():
        print_record(stage(period, run_id))


@app.command()
def approve(
    subject_id: Annotated[
        str | None, typer.Argument(help="Candidate; without it, what waits is listed.")
    ] = None,
    by: Annotated[str, typer.Option(help="Full name of the person who answers for it.")] = "",
    reason: Annotated[str, typer.Option(help="Why: at least ten characters.")] = "",
    reject: Annotated[bool, typer.Option("--reject", help="Reject instead of approving.")] = False,
) -> None:
    """Answer for the warnings of a candidate, by name and with a reason, or list what waits."""
    from loaders.cli.approve import decide, show_waiting

    with plain_errors():
        if subject_id is None:
            show_waiting()
        else:
            decide(subject_id, by, reason, is_rejection=reject)


@app.command()
def publish(candidate_id: str, run_id: RunId = "manual") -> None:
    """Switch the marts to an approved candidate and write its reports."""
    from loaders.report import write_release_report
    from loaders.stages.publish import publish as stage

    with plain_errors():
        print_record(stage(candidate_id, run_id, after_publish=write_release_report))


@app.command()
def report(
    pdf: Annotated[bool, typer.Option("--pdf", help="Print both as PDF too, by Chromium.")] = False,
) -> None:
    """Write the reports of the published release again: month, quality, quality as JSON-LD."""
    from loaders.report import write_release_pdfs, write_release_reports

    with plain_errors():
        paths = write_release_reports()
        for path in paths.values():
            console.print(str(path), highlight=False, soft_wrap=True)
        for path in write_release_pdfs(paths) if pdf else ():
            console.print(str(path), highlight=False, soft_wrap=True)


@app.command()
def scorecard() -> None:
    """Show the published scorecard in the terminal."""
    from loaders.report import show_scorecard

    with plain_errors():
        show_scorecard(console)


@app.command()
def register(
    width: Annotated[int, typer.Option(help="Columns of the table; 0 takes the terminal.")] = 0,
) -> None:
    """List every KPI of the programme: state, source, standing, latest value, target, verdict."""
    from loaders.report import show_register

    with plain_errors():
        show_register(Console(width=width) if width else console)


@app.command()
def sample(
    months: Annotated[list[str], typer.Argument(help="Months YYYY-MM.")],
    scale: Annotated[float, typer.Option(help="1 is the whole province.")] = 0.02,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 42,
) -> None:
    """Write the extracts of the invented province into the inbox, and its true KPI values."""
    from loaders.sample import generate

    with plain_errors():
        settings = get_settings()
        files = generate(months, scale, seed, settings.inbox, settings.home / "truth")
    console.print(f"{len(files)} files in {settings.inbox}")


@app.command()
def demo(
    scale: Annotated[float, typer.Option(help="1 is the whole province.")] = 0.02,
    seed: Annotated[int, typer.Option(help="The same seed gives the same province.")] = 42,
) -> None:
    """Three sample months through Airflow to a published release."""
    from loaders.demo import run_demo

    raise typer.Exit(run_demo(scale=scale, seed=seed))


@app.command()
def up() -> None:
    """Start PostgreSQL and Airflow and leave them running."""
    from loaders.airflow_service import up as start
    from loaders.stages.setup import prepare_warehouse

    with plain_errors():
        prepare_warehouse()
        service = start(get_settings())
    console.print(
        f"Airflow: {service.url}  user {service.user}, password in {service.password_file}"
    )
    console.print("Stop it with `nq42 down`.")


@app.command()
def bi() -> None:
    """Start PostgreSQL and Superset with the dashboards, and leave them running."""
    from loaders.bi.service import up as start

    with plain_errors():
        service = start(get_settings())
    console.print(
        f"Superset: {service.url}  user {service.user}, password in {service.keys_file}",
        soft_wrap=True,
    )
    console.print("Stop it with `nq42 down`.")


@app.command()
def down() -> None:
    """Stop everything that `nq42 up`, `nq42 bi` or `nq42 demo` started."""
    from loaders.airflow_service import down as stop
    from loaders.bi.service import down as stop_bi

    stop_bi(get_settings())
    stop(get_settings())


@app.command()
def airflow(
    part: Annotated[Part, typer.Argument(help="Part of Airflow, or prepare: keys and metadata.")],
    check: Annotated[bool, typer.Option("--check", help="Only ask whether it is alive.")] = False,
) -> None:
    """Run one part of Airflow in the foreground: for containers and service managers."""
    from loaders import airflow_parts

    with plain_errors():
        if part == "prepare":
            airflow_parts.prepare(get_settings())
        elif not check:
            airflow_parts.run(part, get_settings())
        elif not airflow_parts.is_alive(part, get_settings()):
            raise typer.Exit(1)


@app.command()
def drop(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 2222,
    check: Annotated[bool, typer.Option("--check", help="Only ask whether it is alive.")] = False,
) -> None:
    """Run the SFTP server into which agencies put their deliveries."""
    from loaders import sftp_drop

    if check:
        raise typer.Exit(not sftp_drop.is_alive(host, port))
    with plain_errors():
        sftp_drop.serve(get_settings(), host, port)


@contracts_app.command("check")
def contracts_check(
    directory: Annotated[Path | None, typer.Argument(help="Folder of contract files.")] = None,
) -> None:
    """Validate every contract, every suite and the files generated from the contracts."""
    from loaders.bi.bundle import stale_files
    from loaders.check import check_project

    findings = check_project(directory)
    if directory is None:
        findings += stale_files()
    for finding in findings:
        errors.print(finding, highlight=False, soft_wrap=True)
    if findings:
        raise typer.Exit(1)
    console.print("contracts, suites and generated files are in order")


@contracts_app.command("derive")
def contracts_derive() -> None:
    """Write what follows from contracts, register and marts: dbt sources, KPI pages, BI bundle.

    A change of the marts that their version does not announce stops it.
    """
    from loaders.bi.bundle import bundle_files
    from loaders.check import generated_files
    from loaders.contracts.interface import interface_findings

    with plain_errors():
        for finding in (unannounced := interface_findings(PROJECT_ROOT)):
            errors.print(finding, markup=False, highlight=False)
        if unannounced:
            raise typer.Exit(1)
        for path, content in (generated_files() | bundle_files()).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            console.print(str(path.relative_to(PROJECT_ROOT)))


@new_app.command("source")
def new_source(source: Source, dataset: DatasetName) -> None:
    """Files of a new source with one dataset: contract, suite, examples, staging model."""
    from loaders.scaffold import new_source as scaffold

    with plain_errors():
        for path in scaffold(PROJECT_ROOT, source, dataset):
            console.print(str(path), highlight=False)
    console.print("Now make them true (docs/add_a_source.md), then: nq42 contracts derive")


@new_app.command("kpi")
def new_kpi(kpi_id: str, source: Source, dataset: DatasetName) -> None:
    """Files of a KPI of the register: model, worked example, entry in the list of KPIs."""
    from loaders.scaffold import new_kpi as scaffold

    with plain_errors():
        for path in scaffold(PROJECT_ROOT, kpi_id, source, dataset):
            console.print(str(path), highlight=False)
    console.print("Now make them true (docs/add_a_kpi.md), then: nq42 contracts derive")


@postgres_app.command("start")
def postgres_start() -> None:
    """Start the embedded server."""
    from loaders.postgres import embedded

    server = embedded.start(get_settings().home)
    console.print(f"running on {server.host}:{server.port}")


@postgres_app.command("stop")
def postgres_stop() -> None:
    """Stop the embedded server."""
    from loaders.postgres import embedded

    console.print("stopped" if embedded.stop(get_settings().home) else "was not running")


@postgres_app.command("status")
def postgres_status() -> None:
    """Tell whether the embedded server runs."""
    from loaders.postgres import embedded

    found = embedded.status(get_settings().home)
    console.print(f"running on {embedded.HOST}:{found.port}" if found.running else "not running")
    raise typer.Exit(0 if found.running else 3)
