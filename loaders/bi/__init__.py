"""Apache Superset as the ready-made BI: its dashboards as code, and the service.

Superset has an environment of its own and is never imported here.
"""
