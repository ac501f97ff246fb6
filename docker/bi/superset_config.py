"""Apache Superset's settings for nq42: on this machine only, nothing sent anywhere.

Read by Superset itself (SUPERSET_CONFIG_PATH). NQ42_BI_FOLDER names the owner-only folder with

    keys.json          the secret key and the administrator's password
    connection.json    where the warehouse stands, and the password of nq42_bi
    superset.db        Superset's own metadata
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

FOLDER = Path(os.environ["NQ42_BI_FOLDER"])


def _document(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name).read_text(encoding="utf-8")))


SECRET_KEY = _document("keys.json")["secret_key"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{FOLDER / 'superset.db'}?check_same_thread=false"
SUPERSET_WEBSERVER_ADDRESS = "127.0.0.1"
APP_NAME = "nq42"


def DB_CONNECTION_MUTATOR(
    uri: URL, params: dict[str, Any], username: str, security_manager: Any, source: Any
) -> tuple[URL, dict[str, Any]]:
    """The warehouse's address of this moment: no password is kept in Superset's metadata.

    The embedded server may come up on another port.
    """
    if uri.database != "nq42" or uri.username != "nq42_bi":
        return uri, params
    at = _document("connection.json")
    connect = dict(params.get("connect_args") or {})
    connect |= {"application_name": "nq42_superset", **at.get("query", {})}
    address = URL.create(
        "postgresql+psycopg2",
        username=at["user"],
        password=at["password"],
        host=at["host"],
        port=at["port"],
        database=at["database"],
    )
    return address, params | {"connect_args": connect}


# --- safety -------------------------------------------------------------------------------------

WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Strict"
# Two services on one host share their cookies, whatever the port.
SESSION_COOKIE_NAME = "nq42_bi"
PREVENT_UNSAFE_DB_CONNECTIONS = True
HTML_SANITIZATION = True
# Nobody is anybody without a login.
PUBLIC_ROLE_LIKE = None
AUTH_RATE_LIMITED = True
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
# Superset's pages hold a tracking pixel that no setting removes: the browser is told to load
# nothing from anywhere else.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
    "referrer_policy": "same-origin",
}

# --- size of answers ----------------------------------------------------------------------------

ROW_LIMIT = 10_000
SAMPLES_ROW_LIMIT = 1_000
SQL_MAX_ROW = 50_000
SUPERSET_WEBSERVER_TIMEOUT = 60
# No data cache: what is shown is what is published.

# --- Vietnamese ---------------------------------------------------------------------------------

D3_FORMAT = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["", " ₫"]}
D3_TIME_FORMAT = {
    "dateTime": "%H:%M:%S %d/%m/%Y",
    "date": "%d/%m/%Y",
    "time": "%H:%M:%S",
    "periods": ["SA", "CH"],
    "days": ["Chủ nhật", "Thứ hai", "Thứ ba", "Thứ tư", "Thứ năm", "Thứ sáu", "Thứ bảy"],
    "shortDays": ["CN", "T2", "T3", "T4", "T5", "T6", "T7"],
    "months": [f"Tháng {month}" for month in range(1, 13)],
    "shortMonths": [f"Th{month}" for month in range(1, 13)],
}
CURRENCIES = ["VND"]
# The wheel has no Vietnamese menus; every text of the dashboards is ours.
BABEL_DEFAULT_LOCALE = "en"
BABEL_DEFAULT_TIMEZONE = "Asia/Ho_Chi_Minh"

# --- what it can do -----------------------------------------------------------------------------

FEATURE_FLAGS = {
    "DASHBOARD_NATIVE_FILTERS": True,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "ALERT_REPORTS": False,
    "EMBEDDED_SUPERSET": False,
}
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "nq42",
        "label": "nq42",
        "description": "",
        "isDefault": True,
        "colors": [
            "#2f6db3",
            "#d9534f",
            "#1b7f4d",
            "#f2b84b",
            "#6c5aa8",
            "#3aa6a0",
            "#b5651d",
            "#8c96a3",
            "#a23b72",
            "#5b8c2a",
        ],
    }
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "nq42_sequence",
        "label": "nq42",
        "description": "",
        "isDiverging": False,
        "isDefault": True,
        "colors": ["#fff3d6", "#f9d58a", "#8cc5a2", "#3f93a8", "#1d4e89"],
    }
]
THEME_DARK = None
