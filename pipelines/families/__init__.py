"""One file per family of base models, behind the protocol in base.py."""
