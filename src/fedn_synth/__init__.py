"""Generated corpora: faces, what they do, and the files of CAS(ME)^2. The product never imports this package.

What the options of `fedn data` may be stands here, so that `--help` imports neither numpy nor scipy.
"""

from typing import Literal

Faces = Literal["2d", "3d"]
"""Faces that are painted flat, or heads of a three-dimensional mesh."""
Form = Literal["video", "frames"]
"""Form of a generated video: one file, or a folder of pictures."""
PresetName = Literal["tiny", "standard", "casme2", "weights"]
"""Size of a generated corpus."""
