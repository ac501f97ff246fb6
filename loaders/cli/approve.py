"""`nq42 approve`: what waits for a person, and a person's decision."""

from __future__ import annotations

import getpass

from loaders.cli.common import console, print_record
from loaders.stages.approve import approve, list_waiting


def show_waiting() -> None:
    """List every subject that waits, its findings in both languages, and the command to answer."""
    waiting = list_waiting()
    if not waiting:
        console.print("Không có gì chờ phê duyệt. / Nothing waits for an approval.")
    for subject in waiting:
        console.print(f"{subject.subject_kind} {subject.subject_id}", style="bold", highlight=False)
        for finding in subject.findings:
            console.print(
                f"  {finding.rule_id} v{finding.rule_version} ({finding.observed})\n"
                f"    {finding.description_vi}\n    {finding.description_en}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        console.print(
            f'  nq42 approve {subject.subject_id} --by "…" --reason "…" [--reject]',
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def decide(subject_id: str, by: str, reason: str, *, is_rejection: bool) -> None:
    """Record the decision in the name given, with the login of whoever runs the command."""
    account = getpass.getuser()
    print_record(
        approve(subject_id, by=by, reason=reason, account=account, is_rejection=is_rejection)
    )
