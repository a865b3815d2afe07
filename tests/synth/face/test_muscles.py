from __future__ import annotations

from fedn_synth.face.muscles import (
    AU_CODES,
    AU_INDEX,
    EMOTION_UNITS,
    STRONG_UNITS,
    UNILATERAL_EMOTIONS,
    action_unit_label,
)


def test_index_inverts_codes() -> None:
    assert [AU_CODES[AU_INDEX[code]] for code in AU_CODES] == list(AU_CODES)


def test_emotions_are_made_of_known_units() -> None:
    for alternatives in EMOTION_UNITS.values():
        assert alternatives
        for units in alternatives:
            assert set(units) <= set(AU_CODES)
            assert len(set(units)) == len(units) > 0
    assert set(STRONG_UNITS) | UNILATERAL_EMOTIONS <= set(EMOTION_UNITS)


def test_no_set_of_units_stands_for_two_emotions() -> None:
    owners: dict[frozenset[str], str] = {}
    for emotion, alternatives in EMOTION_UNITS.items():
        for units in alternatives:
            known = owners.setdefault(frozenset(units), emotion)
            # A one-sided 14 is contempt, a two-sided one has no single emotion.
            assert known == emotion or known in UNILATERAL_EMOTIONS


def test_label_sorts_by_number() -> None:
    assert action_unit_label(("20", "5", "1")) == "1+5+20"
