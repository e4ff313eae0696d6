"""Base models, adapters, pictures and files. Knows nothing of training or of the page."""
