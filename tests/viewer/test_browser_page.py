"""The page around the bodies: safety, labels, colours and widths, in a headless browser."""

import re
from dataclasses import replace

import pytest

from soke.viewer import write_page
from tests.viewer.clips import clip
from tests.viewer.opened import opened
from tests.viewer.test_writing import HOSTILE

CONTRAST = """(selector) => {
    const luminance = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((level) => {
            const share = level / 255;
            return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = document.querySelector(selector);
    let ground = found;
    const clear = (node) => /, 0\\)|transparent/.test(getComputedStyle(node).backgroundColor);
    while (clear(ground)) ground = ground.parentElement;
    const levels = [getComputedStyle(found).color, getComputedStyle(ground).backgroundColor];
    const [dark, light] = levels.map(luminance).sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
}"""


def test_no_request_and_no_complaint(browser, page_file):
    with opened(browser, page_file, motion="no-preference") as page:
        page.drawn().until("viewer.player.frame > 2")
        for key in "123456":
            page.press(key).page.wait_for_timeout(50)
        page.press("n").until("viewer.clip.name === 'two'")
        assert page.requests == [page.address]
        assert page.complaints == []


def test_hostile_texts_do_nothing(browser, tmp_path, body):
    named = clip(HOSTILE, HOSTILE, '"><b>', keywords=(HOSTILE,), missing=(HOSTILE,), note=HOSTILE)
    systems = tuple(replace(s, title=HOSTILE, score=HOSTILE) for s in named.systems)
    hostile = replace(named, systems=systems, parts=(HOSTILE, "b", "c"))
    path = write_page(tmp_path / "page.html", [hostile, hostile], body, title=HOSTILE)
    with opened(browser, path) as page:
        page.drawn()
        assert page.page.locator("#caption").text_content() == HOSTILE
        assert page.page.locator(".title").first.text_content() == HOSTILE
        assert page.page.locator(".score").first.text_content() == HOSTILE
        assert page.page.title().startswith("</script><script>")
        assert page.ask("window.hacked") is None
        assert page.page.locator("img").count() == 0
        assert (page.requests, page.complaints, page.dialogs) == ([page.address], [], [])


@pytest.mark.parametrize("colors", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_fits(browser, page_file, width, height, colors):
    with opened(browser, page_file, width=width, height=height, colors=colors) as page:
        page.drawn()
        assert page.ask("document.documentElement.scrollWidth") <= width
        boxes = [view.bounding_box() for view in page.page.locator(".view").all()]
        assert boxes[0]["y"] == pytest.approx(boxes[1]["y"], abs=1)  # side by side
        assert boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"]
        assert boxes[1]["x"] + boxes[1]["width"] <= width
        for control in page.page.locator("button, select, fieldset label, #scrub").all():
            box = control.bounding_box()
            assert min(box["width"], box["height"]) >= 24
            assert box["x"] >= 0 and box["x"] + box["width"] <= width + 0.5
        pale = page.picture("body")[2, 2].mean()
        assert (pale > 200) == (colors == "light")
        for selector in (
            "#caption",
            ".retrieved",
            ".missing",
            ".score",
            ".title",
            "#body",
            "kbd",
            "#keys p",
            "#play",
            "[aria-current]",
            "thead th:not([aria-current])",
            "#views label",
        ):
            assert page.ask(CONTRAST, selector) >= 4.5, selector


def test_everything_has_a_role_and_a_name(browser, page_file):
    with opened(browser, page_file) as page:
        outline = page.drawn().page.locator("body").aria_snapshot()
        page.ask("viewer.player.toggle()")
        assert page.page.get_by_role("button", name="Pause", exact=True).count() == 1
    for line in (
        'heading "Signing"',
        'combobox "Clip"',
        'slider "Frame"',
        'button "Play"',
        'checkbox "Repeat"',
        'group "View"',
        'radio "right hand"',
        'button "Walk left"',
        'table "Tokens of generated"',
        'rowheader "left hand"',
        'region "Text"',
        'img "reference: a body that signs the text"',
    ):
        assert line in outline, line
    assert not re.search(r"- (button|combobox|slider|checkbox|radio|img)(:|$| \[)", outline, re.M)


def test_focus_is_seen_and_everything_is_reached(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn()
        reached = set()
        for _ in range(40):
            page.press("Tab")
            reached.add(page.ask("document.activeElement.id || document.activeElement.className"))
            if page.ask("document.activeElement === document.body"):
                break
            target = (
                "document.activeElement.matches('fieldset input') ? "
                "document.activeElement.nextElementSibling : document.activeElement"
            )
            style = page.ask(
                f"(({{outlineStyle: s, outlineWidth: w}}) => [s, w])(getComputedStyle({target}))"
            )
            assert style == ["solid", "3px"]
        assert {
            "clip",
            "play",
            "speed",
            "repeat",
            "scrub",
            "view-upper_body",
            "scroll",
            "letters",
        } <= reached


def test_the_foot_says_which_body_and_how_far_off(browser, page_file, tmp_path, bending_body):
    with opened(browser, page_file) as page:
        words = page.drawn().page.locator("#body").inner_text()
        assert "stand-in body (not SMPL-X)" in words
        assert "less than 0.001 mm at most and less than 0.001 mm on average" in words
    path = write_page(tmp_path / "page.html", [clip(frames=(24, 24, 24))], bending_body)
    with opened(browser, path) as page:
        words = page.drawn().page.locator("#body").inner_text()
        error = page.ask("JSON.parse(document.getElementById('data').textContent).error")
        assert "SMPL-X neutral (SMPLX_NEUTRAL.npz)" in words
        assert float(re.search(r"([\d.e-]+) mm at most", words)[1]) == pytest.approx(
            error["maximum"], rel=0.05
        )


def test_a_browser_without_webgl_is_told(launch, page_file):
    browser = launch("--disable-3d-apis")
    try:
        with opened(browser, page_file) as page:
            page.until("!document.getElementById('problem').hidden")
            words = page.page.get_by_role("alert").inner_text()
            assert "no WebGL 2" in words and "current browser" in words
    finally:
        browser.close()
