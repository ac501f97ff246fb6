"""`python -m loaders.cli`."""

from loaders.cli import app

app()
