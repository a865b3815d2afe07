"""The classical baseline: expressions spotted by the optical flow of face regions, with nothing learnt but thresholds.

Regions move against reference frames and the head's own motion is taken off (:mod:`fedn_lightning.motion`). What is
left is filtered over time, and its peaks with the valleys around them are the expressions (:mod:`.spotter`). The few
numbers that this needs are chosen on training subjects (:mod:`.spotter`).
"""
