"""Three small sets of captioned pictures (product, character, style), and the recipes that make them."""
