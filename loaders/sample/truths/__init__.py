"""The right answer: every computed KPI, from the people themselves.

It knows the definitions on its own and looks neither at the files nor at the warehouse.
"""
