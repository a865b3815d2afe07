"""Motion of face regions, shared by the classical baseline and FEDN's motion stream.

:mod:`.flow` measures optical flow, :mod:`.regions` removes the motion of the head, and :mod:`.features` turns both into
the input of a network.
"""
