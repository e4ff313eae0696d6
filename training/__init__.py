"""From a folder of pictures to an adapter. Imports pipelines, never app."""
