"""All the logic of the scores, as functions of plain values."""
