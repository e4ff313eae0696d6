"""The doctor's checks: one function each, one line each in table.py."""
