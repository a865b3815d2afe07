"""Leave-one-subject-out: folds, their processes, and the pooling of what they predicted.

A fold is one `fedn fit` in a process and a folder of its own, so that nothing of one fold can reach another.
:mod:`.folds` says which there are, :mod:`.experiment` of what, :mod:`.worker` runs one, the launchers
(:mod:`.local`, :mod:`.on_ray`, :mod:`.on_slurm`) run many, :mod:`.status` tells which are done, :mod:`.pooling` scores.
"""
