"""Make Superset ready, in one process: its metadata, its administrator, the bundle.

Run by the environment that holds Superset, with NQ42_BI_FOLDER set (see superset_config.py).
Everything may be repeated; the bundle overwrites what an earlier one left.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from flask import g
from flask_migrate import upgrade

FOLDER = Path(os.environ["NQ42_BI_FOLDER"])
USER = "admin"


def main(assets: Path) -> None:
    """Migrate, make roles and administrator, import the bundle in `assets`."""
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        upgrade()
        _people()
        _import_bundle(assets)


def _people() -> None:
    """Roles as this version has them, and the administrator with the password of this folder."""
    from superset import appbuilder, security_manager

    appbuilder.add_permissions(update_perms=True)  # at its start there were no tables for them
    security_manager.sync_role_definitions()
    password = json.loads((FOLDER / "keys.json").read_text(encoding="utf-8"))["password"]
    found = security_manager.find_user(username=USER)
    if found is None:
        role = security_manager.find_role("Admin")
        made = security_manager.add_user(
            USER, "nq42", "BI", "admin@localhost", role, password=password
        )
        if not made:
            raise SystemExit("Superset did not take the administrator")
        return
    security_manager.reset_password(found.id, password)


def _import_bundle(assets: Path) -> None:
    from superset import security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand

    g.user = security_manager.find_user(username=USER)
    contents = {
        path.relative_to(assets).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(assets.rglob("*.yaml"))
    }
    ImportAssetsCommand(contents, sparse=False).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
