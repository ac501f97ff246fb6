"""Connectors fetch the bytes of a delivery; a contract names one and gives its options."""

from loaders.connectors.local import Delivery, fetch_local

CONNECTORS = {"local": fetch_local}

__all__ = ["CONNECTORS", "Delivery"]
