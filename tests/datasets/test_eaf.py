"""Files of ELAN: what is written comes back, and what ELAN itself writes is understood."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.datasets.eaf import CodedEvent, read_eaf, without_overlap, write_eaf
from fedn_lightning.datasets.elan import coded_events
from fedn_lightning.errors import AnnotationError, VideoError
from fedn_lightning.utils.text import normal_form

WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=12).map(normal_form)
NAMES = st.text("abcäß <&>\"'()#@.-7", min_size=1, max_size=8).map(normal_form)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["confidence", "apex", "action_units", "note"]), WORDS.filter(bool), max_size=3
)


@st.composite
def tables(draw):
    """Events of several people and coders, which may overlap and touch."""
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(0, 10_000_000))
        rows.append(
            CodedEvent(
                start,
                start + draw(st.integers(1, 9000)),
                draw(st.sampled_from(["macro", "micro", ""])),
                draw(st.sampled_from(["", "happiness", "others", "peur & dégoût", "not <sure>"])),
                draw(st.sampled_from(["", "P1", "Zoë", "face 2"]) | NAMES),
                draw(st.sampled_from(["", "anna", "ben"]) | NAMES),
                draw(ATTRIBUTES),
            )
        )
    return rows


def key(event):
    return *event.place, event.emotion, sorted(event.attributes.items())


@settings(max_examples=200, deadline=None)
@given(events=tables())
def test_what_is_written_is_read_back_to_the_millisecond(events, tmp_path_factory):
    path = write_eaf(tmp_path_factory.mktemp("eaf") / "v.eaf", "v.mp4", events, emotions=["happiness"])
    assert sorted(coded_events(read_eaf(path)), key=key) == sorted(events, key=key)


def test_a_file_that_was_corrected_loses_nothing(tmp_path):
    """A boundary moves, a word is changed, an annotation goes with all that hangs on it, and one is drawn."""
    events = [
        CodedEvent(1000, 2000, "macro", "happiness", coder="fedn", attributes={"confidence": "0.8"}),
        CodedEvent(5000, 5300, "micro", "surprise", coder="fedn", attributes={"confidence": "0.6"}),
        CodedEvent(7000, 8000, "macro", "others", coder="fedn", attributes={"confidence": "0.7"}),
    ]
    path = write_eaf(tmp_path / "v.eaf", tmp_path / "v.mp4", events)
    tree = ElementTree.parse(path)
    slots = {slot.get("TIME_VALUE"): slot for slot in tree.iter("TIME_SLOT")}
    slots["1000"].set("TIME_VALUE", "1001")
    marks = {mark.findtext("ANNOTATION_VALUE"): mark for mark in tree.iter("ALIGNABLE_ANNOTATION")}
    marks["surprise"].find("ANNOTATION_VALUE").text = "fear"
    for tier in tree.iter("TIER"):
        for annotation in list(tier):
            mark = annotation[0]
            if marks["others"].get("ANNOTATION_ID") in (mark.get("ANNOTATION_ID"), mark.get("ANNOTATION_REF")):
                tier.remove(annotation)
    micro = next(tier for tier in tree.iter("TIER") if tier.get("TIER_ID") == "micro")
    order = tree.find("TIME_ORDER")
    for name, value in (("ts90", "12345"), ("ts91", "12600")):
        ElementTree.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=name, TIME_VALUE=value)
    drawn = ElementTree.SubElement(
        ElementTree.SubElement(micro, "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID="a99", TIME_SLOT_REF1="ts90", TIME_SLOT_REF2="ts91",
    )  # fmt: skip
    ElementTree.SubElement(drawn, "ANNOTATION_VALUE").text = "disgust"
    tree.write(path, encoding="UTF-8", xml_declaration=True)
    assert coded_events(read_eaf(path)) == [
        CodedEvent(1001, 2000, "macro", "happiness", coder="fedn", attributes={"confidence": "0.8"}),
        CodedEvent(5000, 5300, "micro", "fear", coder="fedn", attributes={"confidence": "0.6"}),
        CodedEvent(12345, 12600, "micro", "disgust", coder="fedn"),
    ]


def test_elan_finds_video_vocabulary_and_dependent_tiers(tmp_path):
    events = [CodedEvent(0, 900, "macro", "happiness", "P1", "anna", {"confidence": "0.8"})]
    path = write_eaf(tmp_path / "out" / "v.eaf", tmp_path / "ä v.mp4", events, ["anger"])
    root = ElementTree.parse(path).getroot()
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert (media.get("RELATIVE_MEDIA_URL"), media.get("MIME_TYPE")) == ("../ä v.mp4", "video/mp4")
    assert media.get("MEDIA_URL").startswith("file:///")
    words = {entry.get("CVE_ID"): entry.findtext("CVE_VALUE") for entry in root.iter("CV_ENTRY_ML")}
    assert sorted(words.values()) == ["anger", "happiness"]
    kinds = {kind.get("LINGUISTIC_TYPE_ID"): kind for kind in root.iter("LINGUISTIC_TYPE")}
    assert kinds["expression"].get("CONTROLLED_VOCABULARY_REF") == root.find("CONTROLLED_VOCABULARY").get("CV_ID")
    assert kinds["attribute"].get("CONSTRAINTS") == "Symbolic_Association"
    first, second = root.iter("TIER")
    assert (first.get("TIER_ID"), first.get("PARTICIPANT"), first.get("ANNOTATOR")) == ("macro", "P1", "anna")
    assert (second.get("TIER_ID"), second.get("PARENT_REF")) == ("macro confidence", "macro")
    assert words[first.find("ANNOTATION/ALIGNABLE_ANNOTATION").get("CVE_REF")] == "happiness"
    assert not list((tmp_path / "out").glob("*.bak"))


OF_ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="Anna" DATE="2024-05-02T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <LICENSE LICENSE_URL=""/>
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/study/talk%201.wav" MIME_TYPE="audio/x-wav"
      RELATIVE_MEDIA_URL="./talk.wav"/>
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/study/talk%201.mp4" MIME_TYPE="video/mp4" TIME_ORIGIN="1500"
      RELATIVE_MEDIA_URL="./gone/talk%201.mp4"/>
    <PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:1</PROPERTY>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="100"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="400"/>
  </TIME_ORDER>
  <TIER ANNOTATOR="Anna" LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="P07" TIER_ID="Micro-expression">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3">
      <ANNOTATION_VALUE>Happiness</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def test_a_file_of_elan_itself(tmp_path):
    path = tmp_path / "code.eaf"
    path.write_text(OF_ELAN, encoding="utf-8")
    document = read_eaf(path)
    assert (document.author, document.video_name, document.origin_ms) == ("Anna", "talk 1", 1500)
    assert coded_events(document) == [CodedEvent(1600, 1900, "micro", "Happiness", "P07", "Anna")]
    assert document.without_time == ("Micro-expression: without a text",)
    with pytest.raises(VideoError, match=r"The video of .*code\.eaf was looked for at .*gone.talk 1\.mp4 and at"):
        _ = document.video
    (tmp_path / "talk 1.mp4").touch()  # beside the file, where people move it
    assert document.video == tmp_path / "talk 1.mp4"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OF_ELAN[:900], "cannot be read as an ELAN file"),
        ("", "cannot be read as an ELAN file"),
        ("<html/>", "cannot be read as an ELAN file"),
        (OF_ELAN.replace('TIME_SLOT_ID="ts3"', 'TIME_SLOT_ID="ts4"'), "not a whole .eaf file"),
        (OF_ELAN.replace('TIME_VALUE="400"', 'TIME_VALUE="soon"'), "cannot be read as an ELAN file"),
        (OF_ELAN.replace('TIME_ORIGIN="1500"', 'TIME_ORIGIN="x"'), "not a whole .eaf file"),
    ],
)
def test_a_broken_file_is_told_in_a_sentence(tmp_path, content, message):
    path = tmp_path / "broken.eaf"
    path.write_text(content)
    with pytest.raises(AnnotationError, match=rf"broken\.eaf .*{message}"):
        read_eaf(path)
    with pytest.raises(AnnotationError, match=r"gone\.eaf cannot be read: No such file"):
        read_eaf(tmp_path / "gone.eaf")


def test_rows_hold_no_overlap():
    events = [CodedEvent(0, 10, "macro"), CodedEvent(5, 8, "macro"), CodedEvent(10, 12, "macro")]
    assert without_overlap(events) == [[events[0], events[2]], [events[1]]]
    assert without_overlap([]) == []
