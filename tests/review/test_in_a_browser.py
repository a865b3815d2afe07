"""`fedn review` as a person meets it: clicks, keys and drags in a real browser, in two tabs, and after kill -9."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from browser import PROGRAM
from reviewing import CONTRAST, review, serving, write_prediction

from lookalikes.movies import numbered, write_movie

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("starlette", reason="the extra review is not installed")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium is installed to look at the page with")

# The number that the picture on the screen shows: its upper row of cells, the lowest bit first.
NUMBER = """() => {
  const seen = ["video", "picture"].map((id) => document.getElementById(id)).find((each) => !each.hidden);
  const pen = new OffscreenCanvas(112, 16).getContext("2d", { willReadFrequently: true });
  pen.drawImage(seen, 0, 0, 112, 16);
  const row = (y) => Array.from({ length: 14 }, (_, k) => pen.getImageData(8 * k + 4, y, 1, 1).data[0] > 127);
  const upper = row(4), lower = row(12);
  if (upper.some((bit, k) => bit === lower[k])) return -1;
  return upper.reduce((sum, bit, k) => sum + bit * 2 ** k, 0);
}"""

CROPS = "[...document.querySelectorAll('#crops img')].every((each) => each.naturalWidth > 0)"

# How long a key takes until the wanted frame is on the screen.
LATENCY = """async (key) => {
  const video = document.querySelector("#video"), begin = performance.now();
  const shown = new Promise((done) => video.requestVideoFrameCallback(() => done(performance.now() - begin)));
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  return await shown;
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(films, out):
    with serving(films / "p", out) as address:
        yield address


def visit(chromium, address: str, **options):
    """A page in a window of its own, which remembers what goes wrong."""
    page = chromium.new_context(**options).new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on(
        "console", lambda message: page.wrong.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on(
        "request",
        lambda request: None if request.url.startswith((address, "data:")) else page.wrong.append(request.url),
    )
    page.goto(address)
    page.wait_for_selector("#rows tr")
    expect_frame(page, 40)
    return page


@pytest.fixture
def page(chromium, server):
    page = visit(chromium, server, viewport={"width": 1300, "height": 900})
    yield page
    assert page.wrong == []
    page.context.close()


def until(page, question: str, seconds: float = 15.0) -> None:
    """Waits until JavaScript answers yes; Playwright's own way of waiting is refused by the page's policy."""
    end = time.monotonic() + seconds
    while not page.evaluate(question):
        assert time.monotonic() < end, question
        time.sleep(0.02)


def expect_frame(page, number: int) -> None:
    """Waits until the page says a frame, and looks whether the picture is that frame."""
    until(page, f"document.querySelector('#where').textContent.startsWith('frame {number} ')")
    for _ in range(50):
        if page.evaluate(NUMBER) == number:
            return
        time.sleep(0.05)
    assert page.evaluate(NUMBER) == number


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    until(page, "document.querySelector('#saved').textContent === 'saved'")


def rows(page) -> list[list[str]]:
    return page.eval_on_selector_all(
        "#rows tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )


def stored(out) -> dict[str, dict]:
    """The events of the first video by its history, by id."""
    (path,) = (out / "history").glob("anna-*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = {event["id"]: event for event in lines[0]["events"]}
    for line in lines[1:]:
        if line["kind"] == "event":
            events.pop((line["before"] or line["after"])["id"], None)
            events |= {} if line["after"] is None else {line["after"]["id"]: line["after"]}
    return events


def test_keys_step_to_the_very_frame(page):
    for key, number in (
        ("ArrowRight", 41),
        ("ArrowLeft", 40),
        ("Shift+ArrowRight", 50),
        ("Shift+ArrowLeft", 40),
        ("End", 300),
        ("Home", 1),
    ):
        page.keyboard.press(key)
        expect_frame(page, number)
    page.keyboard.press("ArrowDown")
    expect_frame(page, 120)


def test_everything_can_be_done_by_keys(page, out):
    press(page, "a")  # accepts the first, and goes to the second
    expect_frame(page, 120)
    press(page, "ArrowRight", "i", "Shift+ArrowRight", "o", "ArrowLeft", "x", "m", "3")
    press(page, "ArrowDown", "r")
    press(page, "Home", "n", "e", "Shift+e")
    events = stored(out)
    assert events["found-1"]["state"] == "accepted"
    second = events["found-2"]
    assert [second[name] for name in ("onset", "apex", "offset", "type", "emotion", "state")] == [
        121,
        130,
        131,
        "macro",
        "surprise",
        "accepted",
    ]
    assert events["found-3"]["state"] == "rejected"
    (mine,) = (event for key, event in events.items() if not key.startswith("found"))
    assert (mine["onset"], mine["offset"], mine["confidence"]) == (1, 15, None)
    press(page, "Delete")
    assert len(stored(out)) == 3
    press(page, "z")
    assert stored(out)[mine["id"]] == stored(out)[mine["id"]] | {"onset": 1, "offset": 15}


def test_undo_goes_back_one_by_one(page, out):
    press(page, "a", "a")
    press(page, "z", "z")
    assert {event["state"] for event in stored(out).values()} == {"open"}
    assert page.locator("[data-do=undo]").is_disabled()


def test_a_boundary_is_dragged_and_the_video_follows(page, out):
    page.click("#rows tr:nth-child(2)")
    expect_frame(page, 120)
    lanes = page.locator(".coder .track").bounding_box()
    handle = page.locator(".event.selected .handle.l").bounding_box()
    start = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    first, last = page.evaluate("S.view")
    wide = lanes["width"] / (last - first)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] - 9 * wide, start[1], steps=6)
    expect_frame(page, 111)
    page.mouse.move(start[0] - 5 * wide, start[1], steps=3)
    page.mouse.up()
    until(page, "document.querySelector('#saved').textContent === 'saved'")
    assert (stored(out)["found-2"]["onset"], stored(out)["found-2"]["offset"]) == (115, 131)
    assert stored(out)["found-2"]["state"] == "accepted"


def test_buttons_do_what_keys_do(page, out):
    page.click("text=Onset here")
    page.click("[data-do=on10]")
    page.click("text=Apex here")
    page.click("#words >> text=disgust")
    page.select_option("#type", "micro")
    until(page, "document.querySelector('#saved').textContent === 'saved'")
    first = stored(out)["found-1"]
    assert [first[name] for name in ("apex", "type", "emotion", "state")] == [50, "micro", "disgust", "accepted"]
    until(page, CROPS)  # until then the buttons are replaced, and a click may be lost
    page.click("#crops figure:nth-child(3) button")
    expect_frame(page, 70)
    until(page, CROPS)


def test_an_event_is_looped_in_slow_motion(page):
    page.keyboard.press("ArrowDown")
    page.keyboard.press("l")
    assert page.evaluate("video.playbackRate") == 0.25
    seen = set()
    for _ in range(60):
        seen.add(page.evaluate("S.at"))
        time.sleep(0.05)
    assert min(seen) >= 108
    assert max(seen) <= 143
    page.keyboard.press("l")
    assert page.evaluate("video.paused")


def test_the_motion_since_the_onset_is_magnified(page):
    page.keyboard.press("g")
    page.keyboard.press("ArrowRight")
    until(page, "picture.src.endsWith('41?face=1&since=40') && picture.complete && picture.naturalWidth > 0")
    page.keyboard.press("g")
    expect_frame(page, 41)


def test_a_finished_video_opens_the_next(page, out):
    press(page, "a", "a", "a", "f")
    until(page, "document.querySelector('#queue').selectedIndex === 1")
    expect_frame(page, 40)
    end = time.monotonic() + 15  # the page goes on before the table is written
    while (out / "annotations.csv").read_text().count("\nanna,anna,") != 3:
        assert time.monotonic() < end
        time.sleep(0.02)
    press(page, "[")
    until(page, "document.querySelector('#finish').textContent === 'Reopen video'")


def test_two_tabs_on_one_video_see_each_other(chromium, server, out):
    pages = [visit(chromium, server) for _ in range(2)]
    press(pages[0], "a")
    press(pages[1], "ArrowDown", "r")  # another event, from a page that has not heard of the first change
    for page in pages:
        until(page, "S.events.map(e => e.state).join() === 'accepted,rejected,open'")
    for page in pages:
        page.evaluate("S.pending = 1")  # stops the page from asking what is new
    pages[0].evaluate("S.pending = 0, choose('found-3'), edit({ emotion: 'fear' })")
    until(pages[0], "S.pending === 0 && S.state.events[2].emotion === 'fear'")
    pages[1].evaluate("S.pending = 0, choose('found-3'), edit({ emotion: 'anger' })")
    pages[1].wait_for_selector("#message:not([hidden])")
    assert "Another page" in pages[1].text_content("#message")
    until(pages[1], "S.events[2].emotion === 'fear'")
    assert stored(out)["found-3"]["emotion"] == "fear"
    for page in pages:
        page.context.close()


def test_nothing_is_lost_at_kill_9(chromium, films, out):
    words = str(films / "p"), "--out", str(out), "--coder", "cora"
    with review(*words) as (address, process):
        page = visit(chromium, address)
        press(page, "a", "r")
        process.kill()
        process.wait()
        page.keyboard.press("a")
        page.wait_for_selector("#message:not([hidden])")
        assert "NOT saved" in page.text_content("#message")
        page.context.close()
    with review(*words) as (address, _):
        page = chromium.new_context().new_page()
        page.goto(address)
        page.wait_for_selector("#rows tr")
        assert [row[-1] for row in rows(page)] == ["accepted", "rejected", "open"]
        page.context.close()


def test_a_step_is_on_the_screen_within_a_tenth_of_a_second(page):
    expect_frame(page, 40)
    times = [page.evaluate(LATENCY, "ArrowRight") for _ in range(20)]
    assert sorted(times)[10] < 100


def test_a_file_that_no_browser_plays_is_shown_frame_by_frame(chromium, films, tmp_path):
    write_movie(tmp_path / "old.avi", (numbered(n, 96, 224) for n in range(1, 301)), codec="mpeg4")
    write_prediction(tmp_path / "p", tmp_path / "old.avi")
    with serving(tmp_path, tmp_path / "out") as address:
        page = chromium.new_context().new_page()
        page.goto(address)
        page.wait_for_selector("#rows tr")
        until(page, "S.frames && picture.complete && picture.naturalWidth > 0")
        expect_frame(page, 40)
        page.keyboard.press("Shift+ArrowRight")
        expect_frame(page, 50)
        page.keyboard.press("Space")
        until(page, "S.at > 55")
        page.context.close()


def test_a_phone_has_room_for_all_and_drags_by_touch(chromium, server, out):
    page = visit(
        chromium, server, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True, color_scheme="dark"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    wide = """[...document.querySelectorAll("header *, main *")].filter((each) =>
      each.getBoundingClientRect().right > 391 && !each.closest(".list, .track")).map((each) => each.outerHTML)"""
    assert page.evaluate(wide) == []
    page.tap("text=Accept")
    until(page, "S.state.events[0].state === 'accepted'")
    small = """[...document.querySelectorAll("button")].filter((each) =>
      each.offsetParent && each.getBoundingClientRect().height < 28).map((each) => each.outerHTML)"""
    assert page.evaluate(small) == []
    assert page.wrong == []
    page.context.close()


def test_text_stands_out_and_everything_has_a_name(chromium, server):
    for scheme in ("light", "dark"):
        page = visit(chromium, server, color_scheme=scheme)
        until(page, CROPS)
        assert page.evaluate(CONTRAST) == {"faint": [], "unnamed": []}
        page.context.close()
