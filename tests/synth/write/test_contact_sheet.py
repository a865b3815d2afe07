from __future__ import annotations

import numpy as np
import pytest

from fedn_synth.face.muscles import AU_INDEX, EMOTION_UNITS
from fedn_synth.write.contact_sheet import CELL, SHOWN_EMOTIONS, contact_sheet, show_emotion


@pytest.mark.parametrize("emotion", EMOTION_UNITS)
def test_the_second_frame_shows_the_emotion(emotion: str) -> None:
    tracks, label = show_emotion(emotion, 0.5)
    assert not tracks.action_units[0].any()
    acting = {code for code, index in AU_INDEX.items() if tracks.action_units[1, index].any()}
    assert acting == set(EMOTION_UNITS[emotion][0]) == set(label.split("+"))


def test_contempt_is_one_sided_and_strong_happiness_parts_the_lips() -> None:
    assert show_emotion("contempt", 0.5)[0].action_units[1, AU_INDEX["14"]].tolist() == [0.5, 0.0]
    assert show_emotion("happiness", 0.5)[1] == "6+12"
    assert show_emotion("happiness", 0.8)[1] == "6+12+25"


def test_sheet_has_a_column_for_every_emotion_and_is_a_function_of_its_seed() -> None:
    sheet = contact_sheet(3, n_identities=1)
    assert sheet.shape[1] == CELL[1] * (1 + len(SHOWN_EMOTIONS))
    assert sheet.shape[0] > 2 * CELL[0]
    assert np.array_equal(sheet, contact_sheet(3, n_identities=1))
    assert not np.array_equal(sheet, contact_sheet(4, n_identities=1))
