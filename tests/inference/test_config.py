import pytest
import torch

from fedn_lightning.errors import CheckpointError, ConfigError
from fedn_lightning.inference.config import load

CPU = torch.device("cpu")


@pytest.fixture
def changed(trained, tmp_path):
    """Writes the checkpoint with a change."""

    def write(change):
        content = torch.load(trained.path, weights_only=True)
        change(content)
        torch.save(content, tmp_path / "changed.ckpt")
        return tmp_path / "changed.ckpt"

    return write


def test_a_checkpoint_tells_all_that_a_test_used(trained):
    config, encoder, network = load(trained.path, None, CPU)
    assert (config.crop.crop_size, config.crop.fps, config.crop.align, config.crop.finder) == (
        32,
        30.0,
        "video",
        "cascade",
    )
    assert (config.window, config.stride, config.emotions) == (64, 16, ("negative", "positive", "surprise"))
    assert config.notes == ()
    assert not any(module.training for module in (encoder, network))


def test_what_an_older_checkpoint_does_not_say_is_told_not_guessed(changed):
    path = changed(lambda content: content["fedn"].pop("alignment"))
    (note,) = load(path, None, CPU)[0].notes
    assert "does not say how faces were aligned" in note
    assert "--align track" in note
    told = load(path, "track", CPU)[0]
    assert (told.crop.align, told.notes) == ("track", ())


def test_another_alignment_and_another_finder_are_told(changed):
    path = changed(lambda content: content["fedn"]["alignment"].update(finder="openface"))
    config = load(path, "track", CPU)[0]
    assert config.crop.finder == "cascade"
    assert [note.split(";")[0] for note in config.notes] == [
        "Faces are aligned by track",
        "The checkpoint was trained on faces placed by OpenFace's landmarks",
    ]


def test_the_landmarkers_model_is_needed_again_or_another_given(changed, trained, tmp_path):
    model = tmp_path / "face_landmarker.task"
    path = changed(lambda content: content["fedn"]["alignment"].update(finder=f"landmarker:{model}"))
    with pytest.raises(CheckpointError, match=r"face_landmarker\.task is not there; give it by --landmarker FILE"):
        load(path, None, CPU)
    model.write_text("")
    config = load(path, None, CPU)[0]
    assert (config.crop.finder, config.notes) == (f"landmarker:{model}", ())
    config = load(trained.path, None, CPU, str(model))[0]
    assert config.crop.finder == f"landmarker:{model}"
    assert config.notes == ("Faces are placed by MediaPipe's landmarks; in training they were placed by cascade.",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("fedn"), "holds no detector"),
        (
            lambda content: content["fedn"].update(task="RecognitionTask"),
            r"no detector of DetectionTask, but a checkpoint of RecognitionTask, a recogniser, .*: fedn two-step\.",
        ),
        (lambda content: content["fedn"].update(task="FlowTask"), "of FlowTask, the classical baseline, .*: fedn test"),
        (lambda content: content["fedn"].update(task="MyTask"), r"but a checkpoint of MyTask\."),
        (lambda content: content["fedn"].pop("windows"), r"lacks or mistakes .*windows"),
        (lambda content: content["fedn"]["model"]["network"].update(colour="red"), r"lacks or mistakes .*colour"),
        (lambda content: content["state_dict"].popitem(), "lacks or mistakes"),
    ],
)
def test_what_is_no_detector_is_told_in_a_sentence(changed, change, message):
    with pytest.raises(CheckpointError, match=message):
        load(changed(change), None, CPU)


def test_an_alignment_that_is_none(trained):
    with pytest.raises(ConfigError, match="align is 'sideways'"):
        load(trained.path, "sideways", CPU)
