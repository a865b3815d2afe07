"""The classical baseline: expressions spotted by the optical flow of face regions, with nothing learnt but thresholds.

Regions (:mod:`.regions`) move against reference frames (:mod:`.motion`), the head's own motion is taken off
(:mod:`.head`), what is left is filtered over time (:mod:`.filtering`), and its peaks with the valleys around them are
the expressions (:mod:`.peaks`, :mod:`.spotter`). The few numbers that this needs are chosen on training subjects
(:mod:`.choice`).
"""
