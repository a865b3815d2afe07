"""A study: many experiments on the same folds, resumable over days, and one table of what came out.

:mod:`.plan` reads which rows there are, :mod:`.units` what has to be trained for each, :mod:`.driver` trains it,
:mod:`.row_file` keeps each row's result in a small JSON file, :mod:`.statistics` draws intervals and differences from
these files alone, :mod:`.labels` asks what the source of the emotion labels costs.
"""
