"""A study: many experiments on the same folds, resumable over days, and one table of results.

:mod:`.plan` reads the rows and their trainings, :mod:`.driver` runs them, :mod:`.rows` keeps the result of each row in
a small JSON file, :mod:`.statistics` computes intervals and differences from these files alone, :mod:`.labels` compares
expert labels and self-reports, :mod:`.tables` writes the table.
"""
