"""Pictures of hands: cards on a table, drawn with our own glyphs."""
