"""The project's exceptions: every message is a sentence that says what is wrong, where, and what to do."""


class FednError(Exception):
    """Base of all errors a user can cause and mend; the command prints its message alone and exits with code 2."""


class CorpusNotFoundError(FednError):
    """A corpus is not where the configuration says; the message tells where it was looked for and how to get it."""


class AnnotationError(FednError):
    """An annotation table or one of its rows cannot be used; the message names the file and the row."""


class VideoError(FednError):
    """A video cannot be opened or decoded; the message names the file and the frame."""


class FaceNotFoundError(VideoError):
    """No face was found in a video; the message names the file and the frames that were looked at."""


class StoreError(FednError):
    """A clip store is missing, truncated or full; the message names the store and the video."""


class SplitError(FednError):
    """The requested subjects cannot be split into training, validation and test."""


class ConfigError(FednError):
    """A configuration key has a value that cannot work; the message names the key."""


class CheckpointError(FednError):
    """A checkpoint cannot be read or does not fit the configured network."""


class PredictionFileError(FednError):
    """A file of predictions or truths cannot be scored; the message names the file and the row."""


class FoldError(FednError):
    """A fold is missing, unfinished or of another experiment; the message names its folder."""


class ExportError(FednError):
    """An exported network says something else than the one it was made from; the message names the output."""
