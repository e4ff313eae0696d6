"""How the sample pictures are made: a ray marcher for the product, vector drawings for the character, Twemoji for the style."""
