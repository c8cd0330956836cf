"""A page in a browser, and what it asked for and complained of."""

import io
from contextlib import contextmanager

import numpy as np
from PIL import Image


class Opened:
    def __init__(self, context, path):
        self.page = context.new_page()
        self.requests = []
        self.complaints = []
        self.dialogs = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("dialog", self._asked)
        self.address = path.as_uri()
        self.page.goto(self.address)

    def _heard(self, message):
        if message.type in ("error", "warning") and "GPU stall" not in message.text:
            self.complaints.append(message.text)  # reading pixels in software is slow, and said so

    def _asked(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def ask(self, expression, argument=None):
        return self.page.evaluate(expression, argument)

    def until(self, expression):
        """Wait until something is true. The page's policy forbids the browser tool's own way."""
        for _ in range(400):
            if self.ask(expression):
                return self
            self.page.wait_for_timeout(25)
        raise AssertionError(f"never came true: {expression}")

    def drawn(self):
        return self.until("!!window.viewer && !!viewer.clip && !viewer.stale")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def click(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()
        return self

    @property
    def frame(self):
        """The frame that the slider stands at."""
        return int(self.page.locator("#scrub").input_value())

    @property
    def marked(self):
        """The tokens that are marked, a list a table."""
        cells = "[...table.querySelectorAll('td[aria-current]')].map((cell) => +cell.textContent)"
        return self.ask(f"[...document.querySelectorAll('table')].map((table) => {cells})")

    def picture(self, selector=".picture"):
        """What is seen of the first element, [H, W, 3]."""
        shot = self.drawn().page.locator(selector).first.screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.float64)


@contextmanager
def opened(browser, path, *, width=1280, height=900, motion="reduce", colors="light"):
    """A page without a network; by default for a person who wants little motion."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        reduced_motion=motion,
        color_scheme=colors,
        offline=True,
    )
    try:
        yield Opened(context, path)
    finally:
        context.close()
