"""Playing, stepping, keys and the timeline, in a headless browser."""

import numpy as np

from tests.viewer.clips import clip
from tests.viewer.opened import opened


def test_play_moves_on_and_pause_holds(browser, page_file):
    with opened(browser, page_file) as page:
        first = page.picture()
        for _ in range(10):  # a slow machine may be back at the first frame when it pauses
            page.click("Play").until("viewer.player.frame > 3").click("Pause")
            if page.frame > 0:
                break
        held = page.frame
        picture = page.picture()
        assert np.abs(picture - first).mean() > 0.5
        page.page.wait_for_timeout(300)
        assert page.frame == held


def test_a_page_plays_at_once_unless_little_motion_is_wanted(browser, page_file):
    with opened(browser, page_file, motion="no-preference") as page:
        page.drawn().until("viewer.player.frame > 1")
    with opened(browser, page_file) as page:
        page.drawn().page.wait_for_timeout(300)
        assert page.frame == 0
        assert page.page.get_by_role("button", name="Play", exact=True).is_visible()


def test_speed_scales_time(browser, page_file):
    """With a clock of our own, so that a slow machine does not matter."""
    with opened(browser, page_file) as page:
        page.drawn()
        reached = page.ask(
            """() => [1, 0.25, 2].map((speed) => {
                const { player } = viewer;
                player.playing = false;
                player.seek(0);
                player.setSpeed(speed);
                player.playing = true;
                for (let now = 1000; now <= 1400; now += 10) player.tick(now);
                return player.frame;
            })"""
        )
        assert reached == [10, 2, 20]  # 0.4 s of 25 frames a second
        assert page.ask("() => { viewer.player.tick(2000); return viewer.player.frame; }") == 2


def test_a_clip_repeats_or_ends(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn()
        page.ask("() => { viewer.player.toggle(); viewer.player.seek(22); }")
        page.until("viewer.player.frame < 15 && viewer.player.playing")
        page.click("Pause").page.get_by_label("Repeat").uncheck()
        page.ask("() => { viewer.player.seek(20); viewer.player.toggle(); }")
        page.until("!viewer.player.playing")
        assert page.frame == 23
        again = "() => { viewer.player.toggle(); return viewer.player.frame; }"
        assert page.ask(again) == 0  # from the start


def test_steps_and_slider(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn()
        assert page.click("One frame on").click("One frame on").frame == 2
        assert page.click("One frame back").frame == 1
        assert page.click("Last frame").frame == 23
        assert page.click("First frame").frame == 0
        page.page.locator("#scrub").fill("12")
        assert page.page.locator("#place").inner_text() == "frame 13 of 24, 0.48 s"
        said = page.page.locator("#scrub").get_attribute("aria-valuetext")
        assert said == "frame 13 of 24, 0.48 s"
        box = page.page.locator("#scrub").bounding_box()
        page.page.mouse.click(box["x"] + box["width"] - 10, box["y"] + box["height"] / 2)
        assert page.frame == 23
        before = page.picture()
        assert np.abs(page.press("Home").picture() - before).mean() > 0.5


def test_keys(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn()
        assert page.press("ArrowRight", "ArrowRight", "ArrowLeft").frame == 1
        assert page.press("Shift+ArrowRight").frame == 5
        assert page.press("Shift+ArrowLeft", "Shift+ArrowLeft").frame == 0
        assert page.press("End").frame == 23
        assert page.press("Home").frame == 0
        speed = page.page.locator("#speed")
        assert speed.input_value() == "1"
        page.press("[", "[")
        assert speed.input_value() == "0.5"
        page.press("]", "]", "]", "]", "]", "]")
        assert speed.input_value() == "2"
        page.press(" ").until("viewer.player.frame > 2")
        page.press(" ")
        assert not page.ask("viewer.player.playing")
        for i, view in enumerate(("upper_body", "combined"), 1):
            page.press(str(i))
            assert page.ask("viewer.view.name") == view
        page.press("D", "w", "+")
        orbit = page.ask("viewer.orbit")
        assert orbit["yaw"] > 0 and orbit["pitch"] > 0 and orbit["zoom"] > 1
        page.press("Control+a")  # the browser's own
        assert page.ask("viewer.orbit") == orbit


def test_a_control_in_focus_keeps_its_own_keys(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn().page.locator("#play").focus()
        page.press(" ").until("viewer.player.playing")  # once, not on and off again
        page.press(" ")
        assert not page.ask("viewer.player.playing")
        page.ask("viewer.player.seek(0)")
        page.page.locator("#scrub").focus()
        assert page.press("ArrowRight").frame == 1
        page.page.locator("#speed").focus()
        page.press("ArrowDown")
        assert page.frame == 1 and page.page.locator("#speed").input_value() == "1.5"
        page.page.locator("#view-upper_body").focus()
        page.press("ArrowRight")
        assert page.frame == 1 and page.ask("viewer.view.name") == "combined"


def test_letters_can_be_switched_off(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn().page.locator("#letters").uncheck()
        page.ask("document.activeElement.blur()")
        page.press("2", "d", "]")
        assert page.ask("viewer.view.name") == "upper_body"
        assert page.ask("viewer.orbit.yaw") == 0
        assert page.press("ArrowRight").frame == 1


def test_the_marked_tokens_are_those_of_the_frame(browser, page_file):
    tables = [system.tokens.tolist() for system in clip().systems]
    with opened(browser, page_file) as page:
        page.drawn()
        for frame in (0, 3, 4, 11, 15):
            page.ask(f"viewer.player.seek({frame})")
            assert page.marked == [table[frame // 4] for table in tables]
        page.ask("viewer.player.seek(17)")  # the second clip is over
        assert page.marked == [tables[0][4], []]
        assert page.page.locator(".over").nth(1).is_visible()
        assert not page.page.locator(".over").nth(0).is_visible()
        page.page.locator("table").first.locator("td[data-step='2']").nth(1).click()
        assert page.frame == 8 and page.marked[0] == tables[0][2]
        names = page.page.locator("table").first.locator("tbody th").all_inner_texts()
        assert names == ["body", "left hand", "right hand"]


def test_a_long_timeline_keeps_the_current_token_in_view(browser, page_file):
    with opened(browser, page_file, width=390, height=844) as page:
        page.drawn()
        for key in ("End", "Home"):
            page.press(key)
            frame = page.page.locator(".scroll").first.bounding_box()
            cell = page.page.locator("td[aria-current]").first.bounding_box()
            assert cell["x"] >= frame["x"]
            assert cell["x"] + cell["width"] <= frame["x"] + frame["width"] + 1


def test_another_clip(browser, page_file):
    with opened(browser, page_file) as page:
        page.drawn()
        caption = page.page.locator("#caption")
        assert caption.inner_text() == "Good morning, dear world"
        assert page.page.locator("#caption .retrieved").all_inner_texts() == ["Good", "world"]
        assert page.page.locator("#caption .missing").all_inner_texts() == ["dear"]
        assert page.page.locator("#words li.retrieved").all_inner_texts() == ["good", "world"]
        assert page.page.locator("#words li.missing").all_inner_texts() == ["dear"]
        assert page.page.locator(".score").all_inner_texts() == ["error 1.5 mm", "error 2.5 mm"]
        page.page.get_by_label("Clip", exact=True).select_option("1")
        page.until("viewer.clip.name === 'two'").drawn()
        assert caption.inner_text() == "今天天气很好" and caption.get_attribute("lang") == "zh"
        assert page.page.locator("#note").inner_text() == "a note"
        assert page.page.locator("figure").count() == 1
        assert page.picture().std() > 10  # one frame
        page.press("ArrowRight", "End", " ")
        assert page.frame == 0
        page.press("n").until("viewer.clip.name === 'one'")
        page.click("Previous clip").until("viewer.clip.name === 'two'")
        assert page.page.get_by_label("Clip", exact=True).input_value() == "1"
        assert page.complaints == []
