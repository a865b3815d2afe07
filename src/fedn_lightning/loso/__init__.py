"""Leave-one-subject-out: folds, their processes, and the pooling of their predictions.

A fold is one `fedn fit` in a process and a folder of its own, so that nothing of one fold can reach another.
:mod:`.experiment` defines the folds, :mod:`.worker` runs one of them, the launchers (:mod:`.launchers`)
run many, :mod:`.status` tells which are finished and how far the others are, :mod:`.pool` scores them together.
"""
