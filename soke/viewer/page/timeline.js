// The tokens of each body: one row per part, one column per step. The current step is marked.

class Timeline {
  /** `seek` is called with the frame of a token that was clicked. */
  constructor(place, framesPerToken, seek) {
    Object.assign(this, { place, framesPerToken, seek, tables: [] });
  }

  load(clip) {
    this.tables = clip.systems
      .filter((system) => system.tokens && system.tokens.length)
      .map((system) => this.table(system, clip));
    this.place.replaceChildren(...this.tables.flatMap(({ heading, frame }) => [heading, frame]));
    this.place.hidden = this.tables.length === 0;
  }

  table({ title, tokens, frames }, clip) {
    const start = (step) => step * this.framesPerToken;
    const seconds = (step) => (start(step) / clip.fps).toFixed(2);
    const columns = tokens.map((_, step) =>
      element("th", { scope: "col", "data-step": step }, `${seconds(step)} s`),
    );
    const rows = clip.parts.map((part, p) => {
      const cells = tokens.map((row, step) => element("td", { "data-step": step }, `${row[p]}`));
      return element("tr", {}, element("th", { scope: "row" }, label(part)), ...cells);
    });
    const name = `Tokens of ${title}`;
    const head = element("thead", {}, element("tr", {}, element("td"), ...columns));
    const table = element("table", { "aria-label": name }, head, element("tbody", {}, ...rows));
    const frame = element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": name }, table);
    frame.addEventListener("click", (event) => {
      const cell = event.target.closest("[data-step]");
      if (cell) this.seek(start(Number(cell.dataset.step)));
    });
    const columnsOf = tokens.map((_, step) => [...frame.querySelectorAll(`[data-step="${step}"]`)]);
    return { heading: element("h2", {}, name), frame, columns: columnsOf, frames, shown: -1 };
  }

  /** Mark the step of a frame, and bring it into view. */
  show(frame) {
    for (const table of this.tables) {
      const step = frame < table.frames ? Math.floor(frame / this.framesPerToken) : -1;
      if (step === table.shown) continue;
      table.columns[table.shown]?.forEach((cell) => cell.removeAttribute("aria-current"));
      table.columns[step]?.forEach((cell) => cell.setAttribute("aria-current", "step"));
      table.shown = step;
      const cell = table.columns[step]?.[0];
      if (cell) follow(table.frame, cell);
    }
  }
}

/** Scroll a frame sideways just far enough that a cell is visible. */
function follow(frame, cell) {
  const names = frame.querySelector("tbody th").offsetWidth;
  const left = cell.offsetLeft - names, right = cell.offsetLeft + cell.offsetWidth;
  if (left < frame.scrollLeft || right > frame.scrollLeft + frame.clientWidth) {
    frame.scrollLeft = left;
  }
}
