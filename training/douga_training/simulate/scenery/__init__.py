"""Painted scenery: what stands behind the cel (backgrounds) and in front of it (books)."""
