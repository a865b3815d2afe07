"""The page of `fedn report` as a person meets it: in a real browser, on a phone, in the dark, without a network."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PROGRAM, Visit, visit
from pulses import write_pulses
from report_runs import invent_record, write_run

from fedn_lightning.cli.main import main

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium is installed to look at the page with")

PHONE = """
  const card = document.querySelector("#v1"), svg = card.querySelector(".plot svg");
  const box = () => svg.getAttribute("viewBox").split(" ").map(Number);
  const followed = box();
  card.querySelector("[data-act=all]").click();
  const whole = box();
  card.querySelector("[data-act=in]").click();
  const closer = box();
  svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  const later = box(), address = location.hash;
  const bar = svg.querySelector("rect[data-i]");
  bar.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerId: 9 }));
  const said = card.querySelector(".readout").textContent;
  const subject = document.querySelector("#subject");
  subject.value = "p1";
  subject.dispatchEvent(new Event("change"));
  const shown = [...document.querySelectorAll(".video")].filter((each) => !each.hidden).map((each) => each.id);
  subject.value = "";
  subject.dispatchEvent(new Event("change"));
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  const wide = [...document.querySelectorAll("body *")].filter((each) =>
    each.getBoundingClientRect().right > innerWidth + 1 && !each.closest(".scroll, nav ul, .plot svg, .ticks"));
  return { followed, whole, closer, later, address, said, shown, inner: innerWidth,
    page: document.documentElement.scrollWidth, wide: wide.slice(0, 5).map((each) => each.outerHTML.slice(0, 80)) };
"""

DARK = """
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => [0.2126, 0.7152, 0.0722].reduce((sum, part, k) => sum + part * channel(rgb[k]), 0);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => { // a stack of colours, the lowest first
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (element) => {
    const stack = [];
    for (let at = element; at; at = at.parentElement) stack.unshift(getComputedStyle(at).backgroundColor);
    return stack;
  };
  const faint = [];
  const text = "h1, h2, h3, p, td, th, a, b, span, summary, label, li, button, div";
  for (const element of document.querySelectorAll(text)) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const behind = ground(element), ink = over([...behind, getComputedStyle(element).color]);
    const [a, b] = [light(ink), light(over(behind))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(element.outerHTML.slice(0, 90));
  }
  const unnamed = [...document.querySelectorAll("svg[role=img], button, select, input, [role=region]")].filter((each) =>
    !(each.getAttribute("aria-label") || each.textContent.trim() || each.closest("label")));
  return { faint, unnamed: unnamed.length, ground: light(over(ground(document.body))),
    pictures: [...document.images].filter((each) => !each.naturalWidth).length, images: document.images.length,
    silent: [...document.images].filter((each) => !each.hasAttribute("alt")).length };
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("browser")
    corpus = write_pulses(home / "store", subjects=3)
    record = invent_record(corpus, ("p0", "p1"))
    run = write_run(home / "run", record, {"crops": {"store": "store"}})
    assert main(["report", str(run), "--out", str(home / "page.html"), "--bootstrap", "20"]) == 0
    return home / "page.html"


@pytest.fixture(scope="module")
def phone(page: Path) -> Visit:
    return visit(page, PHONE, (390, 844), fragment="v1@2.0-4.0")


@pytest.fixture(scope="module")
def dark(page: Path) -> Visit:
    return visit(page, DARK, (1280, 900), dark=True)


def test_nothing_goes_wrong_and_nothing_is_loaded(phone: Visit, dark: Visit) -> None:
    for seen in (phone, dark):
        assert seen.errors == []
        assert seen.console == []
        assert [name for name in seen.loaded if not name.startswith("data:image/jpeg")] == []


def test_an_address_leads_to_a_moment(phone: Visit) -> None:
    assert phone.answer["followed"] == [60, 0, 60, 100]


def test_timelines_zoom_and_pan(phone: Visit) -> None:
    assert phone.answer["whole"] == [0, 0, 300, 100]
    assert phone.answer["closer"] == [75, 0, 150, 100]
    assert phone.answer["later"] == [105, 0, 150, 100]
    assert phone.answer["address"] == "#v1@3.5-8.5"


def test_a_bar_shows_its_event(phone: Visit) -> None:
    assert phone.answer["said"].startswith("truth · m")
    assert "onset" in phone.answer["said"]


def test_the_filter_leaves_the_videos_of_a_subject(phone: Visit) -> None:
    assert phone.answer["shown"] == ["v1"]


def test_a_phone_need_not_scroll_sideways(phone: Visit) -> None:
    assert phone.answer["inner"] == 390
    assert phone.answer["wide"] == []
    assert phone.answer["page"] == 390


def test_text_stands_out_in_the_dark(dark: Visit) -> None:
    assert dark.answer["ground"] < 0.05
    assert dark.answer["faint"] == []


def test_everything_has_a_name_and_every_crop_is_there(dark: Visit) -> None:
    assert dark.answer["unnamed"] == 0
    assert dark.answer["images"] > 50
    assert dark.answer["pictures"] == dark.answer["silent"] == 0
