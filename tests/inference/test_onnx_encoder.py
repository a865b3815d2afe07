"""A detector on somebody else's ONNX network: trained, tested and run on a video."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_networks import write_network

from fedn_lightning import Detector
from fedn_lightning.models.encoder import EncoderConfig

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def trained_on_onnx(films, tmp_path_factory, train):
    folder = tmp_path_factory.mktemp("onnx")
    path = write_network(folder / "net.onnx", side="S")
    trained = train(films, folder, EncoderConfig(onnx=str(path), output="feature", size=24))
    path.unlink()  # a checkpoint is enough
    return trained


def test_a_test_caches_its_features_and_a_detector_finds_the_same(trained_on_onnx, films):
    folder = trained_on_onnx.path.parent / "video" / "features"
    assert sum(path.is_dir() for path in folder.iterdir()) == 1
    record = trained_on_onnx.tests["video"]
    found = Detector.from_checkpoint(trained_on_onnx.path, "cpu").detect(films / "thirty.mp4")
    expected = record.predictions[record.predictions.video == 0]
    assert len(expected) > 20
    np.testing.assert_allclose(found.faces[0].proposals.to_rows()[:, 2:], expected.to_rows()[:, 2:], atol=1e-5)
