"""Motion of face regions: optical flow (:mod:`.flow`, :mod:`.cache`), the head's own motion (:mod:`.head`), filters
over time (:mod:`.filters`), and what a network takes of them (:mod:`.features`).

The classical baseline (:mod:`fedn_lightning.baselines.flow`) and FEDN's motion stream share it.
"""
