"""The steps of the page, one module each: `look` (folders -> what is shown) and `ACTIONS` (one library call per button)."""
