"""Front ends: the command line and the page. Imports training and pipelines; nothing imports it."""
