"""One measurement per file; each takes features or pictures and gives numbers. training/verdict.py draws, measures and decides."""
