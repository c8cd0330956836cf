"""The page about a run: its structure, its numbers, hostile texts, and how a browser shows it."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import av
import numpy as np
import pandas as pd
import pytest

from soke.cli.report import __main__ as command
from soke.cli.report import distributions, films
from soke.cli.report.clip_choice import chosen_clips
from soke.cli.report.page import build_page
from soke.cli.run_results import read_results
from tests.prepare.made_up_results import write_made_up_prediction, write_made_up_results

HOSTILE = (
    '<script>alert("1")</script><img src=http://x.invalid/a.png onerror=alert(2)> & \' {{ 7*7 }}'
)
VOID = {"meta", "link", "img", "br", "rect", "line", "input"}
LOADING = ("src", "href", "poster", "data", "action", "srcset", "style")


class Page(HTMLParser):
    """Collects elements and text; complains of what is not closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "pre"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run with the predictions of one data set."""
    folder = tmp_path_factory.mktemp("results") / "run"
    write_made_up_results(folder, clips=9, runs=2)
    for i in range(9):
        write_made_up_prediction(folder, "phoenix", f"clip-{i:03d}")
    return read_results(folder)


@pytest.fixture(scope="module")
def html(results):
    return build_page(results)


def test_the_page_is_whole_and_labelled(html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids
    for link in page.all("a"):
        assert link["href"].removeprefix("#") in ids
    for kind in ("svg", "video", "article"):
        assert page.all(kind) and all(found["aria-label"] for found in page.all(kind))
    assert len(page.all("table")) == len(page.all("caption"))
    assert all("scope" in head for head in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_nothing_is_loaded(html):
    page = Page(html)
    assert not page.all("script") and not page.all("iframe")
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in LOADING:
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value[:80])
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_scores_and_intervals_are_those_of_the_results(results, html):
    text = Page(html).text
    about = results.about
    value = about["scores"]["csl"]["DTW_JPE_hands"]
    low, high = about["intervals"]["csl"]["DTW_JPE_hands"]
    assert f"{value:.3f} {low:.3f} to {high:.3f}" in text
    baseline = about["baselines"]["nearest_text"]["csl"]["token_BLEU_body"]
    low, high = about["baseline_intervals"]["nearest_text"]["csl"]["token_BLEU_body"]
    assert f"{baseline:.3f} {low:.3f} to {high:.3f}" in text
    for system in ("generated", "random clip", "nearest text", "ground truth"):
        assert system in text
    for fact in ("0123456789abcdef", "torch 2.13.0", "0.25 s per clip"):
        assert fact in text


def test_published_scores_stand_beside_ours(html):
    text = Page(html).text
    for value in ("6.82 2.35 7.75 10.08", "6.24 1.71 7.38 9.68", "4.77 1.38 6.04 7.72"):
        assert all(number in text for number in value.split())
    rows = re.findall(r'<th scope="row">DTW-PA-JPE hands</th>(.*?)</tr>', html, re.DOTALL)
    cells = re.findall(r"<td>([\d.]+)</td>", rows[0])
    assert cells == ["2.35", "1.71", "1.38"]


def test_the_stand_in_body_is_not_comparable(html, tmp_path):
    assert "not comparable" in html and "Stand-in body." in html and 'class="incomparable"' in html
    real = write_made_up_results(
        tmp_path / "real", clips=4, stand_in=False, body="SMPL-X neutral (SMPLX_NEUTRAL.npz)"
    )
    page = build_page(read_results(real), clips=0)
    assert "not comparable" not in page and "Stand-in" not in page and "6.82" in page
    trial = write_made_up_results(
        tmp_path / "trial", clips=4, stand_in=False, split="val", configuration={"DEBUG": True}
    )
    page = build_page(read_results(trial), clips=0)
    assert "not comparable" in page and "split &#39;val&#39;" in page and "short trial" in page


def test_hostile_texts_are_only_text(tmp_path):
    folder = write_made_up_results(
        tmp_path / "run",
        clips=4,
        corpora=("how2sign",),
        texts={"how2sign": HOSTILE},
        name="<b>name</b>",
        checkpoint="<script>",
        configuration={"NAME": "</pre><script>"},
    )
    rows = pd.read_csv(folder / "clips.csv")
    rows.assign(system=rows["system"].replace("nearest_text", "<i>x</i>")).to_csv(
        folder / "clips.csv", index=False
    )
    content = (folder / "metrics.json").read_text(encoding="utf-8")
    (folder / "metrics.json").write_text(content.replace("nearest_text", "<i>x</i>"), "utf-8")
    html = build_page(read_results(folder))
    page = Page(html)
    assert not page.all("script") and not page.all("img") and not page.all("i")
    assert HOSTILE in page.text and "<i>x</i>" in page.text
    assert page.all("h1") and "<b>name</b>" in page.text
    assert "</pre><script>" not in html


def test_best_median_and_worst(results):
    shown = chosen_clips(results, "DTW_JPE_hands", 1)
    assert [clip.kind for clip in shown] == ["best", "median", "worst"] * 3
    rows = results.rows().query("corpus == 'csl' and run == 0").set_index("name")["DTW_JPE_hands"]
    names = [clip.name for clip in shown if clip.corpus == "csl"]
    assert [rows[name] for name in names] == [rows.min(), rows.median(), rows.max()]
    better = chosen_clips(results, "text_rouge_l", 1)
    rouge = results.rows().query("corpus == 'csl' and run == 0").set_index("name")["text_rouge_l"]
    first = next(clip.name for clip in better if clip.corpus == "csl")
    assert rouge[first] == rouge.max()


@pytest.mark.parametrize("clips", [1, 2, 3, 5])
def test_few_clips_are_shown_once(tmp_path, clips):
    folder = write_made_up_results(tmp_path / "few", clips=clips, corpora=("csl",))
    names = [clip.name for clip in chosen_clips(read_results(folder), "DTW_JPE_body", 2)]
    assert len(names) == len(set(names)) == min(clips, 6)
    assert Page(build_page(read_results(folder)))


def test_films_are_of_the_predictions(results, html):
    cards = re.findall(r"<article.*?</article>", html, re.DOTALL)
    assert ["<video" in card for card in cards] == [False] * 6 + [True] * 3
    assert all("was not saved" in card for card in cards[:6])
    film = Page(html).all("video")[0]
    assert "controls" in film and film["poster"].startswith("data:image/jpeg;base64,/9j/")
    content = base64.b64decode(film["src"].removeprefix("data:video/mp4;base64,"))
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.codec_context.name == "h264"
    assert len(frames) == 12 and frames[0].shape[1] == 2 * films.PANEL_WIDTH + 8
    left, right = np.split(frames[-1].astype(int), 2, axis=1)
    assert np.abs(frames[0].astype(int) - frames[-1])[:, : left.shape[1]].max() > 60  # it moves
    assert np.abs(left - right).mean() > 1  # two bodies, and the shorter one is over


def test_long_clips_are_cut(tmp_path, monkeypatch):
    folder = write_made_up_results(tmp_path / "long", clips=1, corpora=("csl",))
    write_made_up_prediction(folder, "csl", "clip-000", frames=32)
    monkeypatch.setattr(films, "LONGEST", 0.8)
    film = films.FilmMaker(read_results(folder)).film("csl", "clip-000")
    assert film.cut and film.seconds == pytest.approx(0.8)


def test_clips_drawn_with_another_body_are_marked(tmp_path):
    folder = write_made_up_results(
        tmp_path / "real", clips=1, corpora=("csl",), stand_in=False, body="SMPL-X neutral (x.npz)"
    )
    write_made_up_prediction(folder, "csl", "clip-000", frames=4)
    text = Page(build_page(read_results(folder))).text
    assert (
        "drawn with the stand-in body (not SMPL-X); the scores were measured on the SMPL-X" in text
    )


def test_means_over_runs(tmp_path):
    folder = write_made_up_results(tmp_path / "run", clips=3, corpora=("csl",), runs=2)
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    content["runs"] = [{"seed": seed, "scores": content["scores"]} for seed in (1, 2)]
    content["run_intervals"] = {
        "csl": {"DTW_JPE_body": [4.5, 4.25, 4.75], "chrF": [7.0, None, None]}
    }
    (folder / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    text = Page(build_page(read_results(folder))).text
    assert "DTW-JPE body CSL-Daily 4.500 4.250 to 4.750" in text and "2 runs" in text


def test_without_predictions_the_page_says_how_to_get_them(tmp_path):
    folder = write_made_up_results(tmp_path / "run", clips=3)
    page = Page(build_page(read_results(folder)))
    assert "TEST.SAVE_PREDICTIONS=true" in page.text and not page.all("video")
    assert len(page.all("article")) == 9


def test_results_with_less_than_everything(tmp_path):
    """No baselines, no intervals, no units, no configuration: the page shows what there is."""
    folder = write_made_up_results(tmp_path / "run", clips=3, corpora=("csl",), baselines=False)
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for key in ("intervals", "baseline_intervals", "units", "timing", "configuration", "versions"):
        del content[key]
    (folder / "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    text = Page(build_page(read_results(folder))).text
    assert f"{content['scores']['csl']['chrF']:.3f}" in text and "Configuration" not in text


def test_distributions_count_every_clip():
    values = {
        "generated": np.array([1.0, 1.0, 2.0, 900.0]),
        "other": np.arange(200.0),
        "none": np.array([np.nan]),
    }
    chart = distributions.make_chart("DTW", values)
    assert [row.system for row in chart.rows] == ["generated", "other"]
    assert chart.description == "DTW. Medians: generated 1.5, other 99.5"
    lefts = [left for row in chart.rows for left, _ in row.bars]
    assert min(lefts) >= distributions.LEFT
    assert max(lefts) + distributions.BAR <= distributions.RIGHT + 0.1
    (_, tall), (_, short) = chart.rows[0].bars
    assert tall == pytest.approx(3 * short, rel=0.02)
    assert distributions.make_chart("x", {"none": np.array([np.nan])}) is None
    assert distributions.make_chart("x", {"same": np.zeros(3)}).rows[0].bars


def test_the_command_writes_the_page(results, tmp_path, html):
    command.main([str(results.folder), "--clips", "0"])
    assert "No clips are shown" in (results.folder / "report.html").read_text(encoding="utf-8")
    out = tmp_path / "page.html"
    command.main([str(results.folder), "--out", str(out), "--order_by", "length_ratio"])
    assert "Ordered by length ratio" in out.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"--order_by is 'text'; the clips have .*DTW_JPE_body"):
        command.main([str(results.folder), "--order_by", "text"])
    with pytest.raises(ValueError, match="--clips -1"):
        command.main([str(results.folder), "--clips", "-1"])


def wait_until(page, condition):
    """Playwright's own way to wait needs a page that lets scripts run."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never came true: {condition}")


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (375, "dark")])
def test_a_browser_shows_the_page(browser, html, tmp_path, width, scheme):
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    requests, messages = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    wait_until(page, "[...document.querySelectorAll('video')].every(v => v.readyState > 1)")
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}
    assert messages == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", ground)[:3])) > 600
    assert light == (scheme == "light")
    video = page.locator("video").first
    assert video.evaluate("v => [v.error, v.videoWidth]") == [None, 2 * films.PANEL_WIDTH + 8]
    video.evaluate("v => v.play()")
    wait_until(page, "document.querySelector('video').currentTime > 0")
    for chart in page.locator("svg").all():
        box = chart.bounding_box()
        assert box["width"] > 250 and box["x"] + box["width"] <= width
    page.close()
