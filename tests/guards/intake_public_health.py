"""Deliveries of public health that make each intake rule fire, and clean ones that do not.

The period is 2025-06, for annual lists too: only its first and last day matter to the rules.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

A, B, C = (f"00000000-0000-0000-0000-00000000000{i}" for i in range(1, 4))
D = dt.date

RECORDS = {
    "report_month": D(2025, 6, 1),
    "unit_code": "21010",
    "sex_code": "2",
    "birth_year": 1990,
    "persons_with_record": 8,
    "persons_managed": 8,
}
CHILD = {
    "report_month": D(2025, 6, 1),
    "record_key": A,
    "person_key": A,
    # The oldest that may be listed: 24 months are complete on 1 July.
    "birth_month": D(2023, 7, 1),
    "sex_code": "1",
    "ethnic_group_code": "01",
    "unit_code": "21010",
    "registered_on": D(2023, 7, 1),
    "status_code": "QL",
}
DOSE = {
    "report_month": D(2025, 6, 1),
    "person_key": A,
    "unit_code": "21010",
    "vaccine_code": "BCG",
    "dose_number": 1,
    "given_on": D(2024, 6, 1),
    "place_code": "BV",
}
MEASURED = {
    "child_key": A,
    "unit_code": "21010",
    "sex_code": "1",
    "age_months": 23,
    "ethnic_group_code": "01",
    "measured_on": D(2025, 6, 30),
    "is_measured_lying": "1",
    "height_cm": 84.5,
    "height_for_age_z": -6,
}
CASES = {
    "report_month": D(2025, 6, 1),
    "unit_code": "21010",
    "disease_code": "SR",
    "new_cases": 2,
    "indigenous_cases": 2,
    "deaths": 0,
}
STATUS = {
    "unit_code": "51",
    "disease_code": "SR",
    "is_ended": "1",
    "decision_number": "01/QĐ",
    "decided_on": D(2025, 6, 30),
}
NOT_ENDED = STATUS | {"is_ended": "0", "decision_number": None, "decided_on": None}
STATION = {
    "facility_code": "51201",
    "unit_code": "21010",
    "station_kind_code": "TRAM",
    "has_standard_toilet": "1",
    "has_clean_water": "1",
}

CLEAN: dict[str, list[dict[str, Any]]] = {
    "health__health_records": [RECORDS, RECORDS | {"birth_year": 2025, "persons_managed": 0}],
    "health__immunisation_children": [CHILD, CHILD | {"record_key": B, "person_key": B}],
    "health__immunisation_doses": [DOSE, DOSE | {"vaccine_code": "VGBSS"}],
    "health__nutrition_survey": [
        MEASURED,
        MEASURED | {"child_key": B, "age_months": 24, "is_measured_lying": "0"},
    ],
    "health__disease_cases": [
        CASES,
        CASES | {"disease_code": "LAO", "indigenous_cases": None},
    ],
    "health__disease_status": [
        STATUS,
        NOT_ENDED | {"disease_code": "LAO"},
        NOT_ENDED | {"disease_code": "HIV"},
    ],
    "health__facility_sanitation": [
        STATION,
        STATION | {"facility_code": "51202", "station_kind_code": "DIEM"},
    ],
}
FIRES: dict[str, list[dict[str, Any]]] = {
    "records.unit_valid_on_date": [RECORDS | {"unit_code": "21025"}],
    "records.not_repeated": [RECORDS],
    "records.managed_within_records": [RECORDS | {"birth_year": 1980, "persons_managed": 9}],
    "records.birth_year_plausible": [
        RECORDS | {"birth_year": 2026},
        RECORDS | {"birth_year": 1904},
    ],
    "records.volume_like_before": [RECORDS],
    "children.unit_valid_on_date": [CHILD | {"record_key": C, "unit_code": "99999"}],
    "children.not_repeated": [CHILD],
    "children.birth_not_in_future": [CHILD | {"record_key": C, "birth_month": D(2025, 7, 1)}],
    "children.under_24_months": [CHILD | {"record_key": C, "birth_month": D(2023, 6, 1)}],
    "children.registered_after_birth": [CHILD | {"record_key": C, "registered_on": D(2023, 6, 30)}],
    "children.few_entered_twice": [CHILD, CHILD | {"record_key": B}],
    "children.volume_like_before": [CHILD],
    "doses.unit_valid_on_date": [DOSE | {"unit_code": "00000"}],
    "doses.not_repeated": [DOSE],
    "doses.given_by_period_end": [DOSE | {"given_on": D(2025, 7, 1)}],
    "doses.given_in_first_year": [DOSE | {"given_on": D(2024, 5, 31)}],
    "doses.children_known": [DOSE, DOSE | {"person_key": C}],
    "doses.volume_like_before": [DOSE],
    "nutrition.unit_valid_on_date": [MEASURED | {"child_key": C, "unit_code": "21025"}],
    "nutrition.not_repeated": [MEASURED],
    "nutrition.measured_in_year": [MEASURED | {"child_key": C, "measured_on": D(2025, 7, 1)}],
    "nutrition.z_score_plausible": [
        MEASURED | {"child_key": C, "height_for_age_z": -6.01},
        MEASURED | {"child_key": "00000000-0000-0000-0000-000000000004", "height_for_age_z": 7},
    ],
    "nutrition.youngest_measured_lying": [
        MEASURED | {"child_key": C, "is_measured_lying": "0"},
        MEASURED | {"child_key": "00000000-0000-0000-0000-000000000004", "age_months": 24},
    ],
    "cases.unit_valid_on_date": [CASES | {"unit_code": "21025"}],
    "cases.not_repeated": [CASES],
    "cases.indigenous_within_new": [
        CASES | {"unit_code": "21013", "indigenous_cases": 3},
        CASES | {"unit_code": "21011", "indigenous_cases": None},
        CASES | {"unit_code": "21012", "disease_code": "HIV"},
    ],
    "cases.volume_like_before": [CASES],
    "status.not_repeated": [STATUS],
    "status.recognised_by_decision": [STATUS | {"unit_code": "62", "decision_number": None}],
    "status.decided_by_year_end": [STATUS | {"unit_code": "62", "decided_on": D(2025, 7, 1)}],
    "status.each_disease_stated": [STATUS, NOT_ENDED | {"disease_code": "LAO"}],
    "sanitation.unit_valid_on_date": [STATION | {"facility_code": "51203", "unit_code": "21025"}],
    "sanitation.not_repeated": [STATION],
    "sanitation.toilet_needs_water": [STATION | {"facility_code": "51203", "has_clean_water": "0"}],
    "sanitation.has_stations": [STATION | {"station_kind_code": "DIEM"}],
}
