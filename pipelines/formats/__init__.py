"""LoRA files in other tools' spellings: one file per format, and the one that reads them all."""
