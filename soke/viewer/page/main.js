// Ties the page together: clips, panels, what is shown.

const data = JSON.parse($("data").textContent);

class Viewer {
  constructor(skin, colors) {
    this.colors = colors;
    this.orbit = { yaw: 0, pitch: 0, zoom: 1 };
    this.view = data.views[0];
    this.stage = new Stage($("canvas"), skin, data.light, data.lens);
    this.player = new Player(() => this.changed());
    this.timeline = new Timeline($("timeline"), data.framesPerToken, (frame) => this.player.seek(frame));
    this.stale = true;
  }

  /** Show another clip. Motions are unpacked when first needed. */
  async choose(number) {
    const clip = data.clips[number];
    this.asked = number;
    const arrays = await unpack(`arrays-${number}`, clip.arrays);
    if (this.asked !== number) return; // another was chosen meanwhile
    Object.assign(this, { clip, arrays });
    this.castBodies();
    this.panels = clip.systems.map((system) => this.panel(system));
    $("panels").replaceChildren(...this.panels.map((panel) => panel.figure));
    $("caption").replaceChildren(...caption(clip));
    $("caption").lang = clip.language;
    const lists = [
      wordList("Retrieved signs", "retrieved", clip.keywords, clip.language),
      wordList("Not in the dictionary", "missing", clip.missing, clip.language),
    ];
    $("words").replaceChildren(...lists.filter((list) => list));
    $("note").textContent = clip.note;
    $("clip").value = number;
    this.timeline.load(clip);
    const frames = Math.max(...clip.systems.map((system) => system.frames));
    $("scrub").max = frames - 1;
    this.player.load(frames, clip.fps);
    document.documentElement.dataset.clip = number;
  }

  castBodies() {
    const { tints } = data.body;
    const color = (tint) => this.colors[tints.findIndex((known) => `${known}` === `${tint}`)];
    this.stage.cast(
      this.clip.systems.map(({ frames, tint }, i) => ({
        motion: {
          rotations: this.arrays[`rotations${i}`],
          coefficients: this.arrays[`coefficients${i}`],
        },
        frames,
        colors: color(tint),
      })),
    );
    this.stale = true;
  }

  panel({ title, score, tint, frames }) {
    const view = element("div", { class: "view", role: "img", "aria-label": `${title}: a body that signs the text` });
    const over = element("span", { class: "over" }, "end");
    const insets = ["left", "right"].map((side) => element("span", { class: `inset ${side}` }));
    const name = element("span", { class: "title" }, title);
    name.style.borderColor = `rgb(${tint.join(" ")})`;
    const line = score ? element("span", { class: "score" }, score) : null;
    const picture = element("div", { class: "picture" }, view, ...insets, over);
    const figure = element("figure", {}, element("figcaption", {}, name, line), picture);
    orbitWithPointer(view, (yaw, pitch, zoom) => this.turn(yaw, pitch, zoom));
    return { figure, places: [view, ...insets], over, frames };
  }

  setView(view) {
    Object.assign(this, { view, orbit: { yaw: 0, pitch: 0, zoom: 1 }, stale: true });
    $(`view-${view.name}`).checked = true;
    $("stage").dataset.cameras = view.cameras.length;
  }

  turn(yaw, pitch, zoom = 1) {
    const { orbit } = this;
    orbit.yaw += yaw;
    orbit.pitch = Math.max(-1.5, Math.min(1.5, orbit.pitch + pitch));
    orbit.zoom = Math.max(0.3, Math.min(8, orbit.zoom * zoom));
    this.stale = true;
  }

  /** Update the controls from the player's state. */
  changed() {
    const { frame, frames, fps, playing, speed, repeat } = this.player;
    const place = `frame ${frame + 1} of ${frames}, ${(frame / fps).toFixed(2)} s`;
    $("scrub").value = frame;
    $("scrub").setAttribute("aria-valuetext", place);
    $("place").textContent = place;
    $("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    $("play").dataset.playing = playing;
    $("speed").value = speed;
    $("repeat").checked = repeat;
    this.panels?.forEach((panel) => (panel.over.hidden = frame < panel.frames));
    this.timeline.show(frame);
    this.stale = true;
  }

  /** Once per screen refresh: advance the time, and draw if needed. */
  run(now) {
    this.player.tick(now);
    if (this.stale && this.clip && !this.stage.gl.isContextLost()) this.draw();
    requestAnimationFrame((later) => this.run(later));
  }

  draw() {
    this.stale = false;
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const [left, top] = this.fit(scale);
    this.panels.forEach(({ places }, i) =>
      this.view.cameras.forEach((camera, k) => {
        const box = pixels(places[k].getBoundingClientRect(), scale);
        if (box.width < 1 || box.height < 1) return;
        const orbit = k === 0 ? this.orbit : { ...this.orbit, zoom: 1 };
        this.drawBody(i, camera, [box.left - left, box.top - top, box.width, box.height], orbit);
      }),
    );
  }

  /** Lay the canvas over the stage, on whole pixels so that nothing is blurred, and empty it. */
  fit(scale) {
    const whole = $("stage").getBoundingClientRect();
    const { left, top, width, height } = pixels(whole, scale);
    const place = { left: left / scale - whole.left, top: top / scale - whole.top };
    Object.entries({ ...place, width: width / scale, height: height / scale }).forEach(
      ([name, length]) => ($("canvas").style[name] = `${length}px`),
    );
    this.stage.clear(Math.max(1, width), Math.max(1, height));
    return [left, top];
  }

  /** One body as one camera of the view sees it; the first is the main one, others are insets. */
  drawBody(i, { name, fade }, rectangle, orbit) {
    const { frame } = this.player;
    const at = 3 * Math.min(frame, this.panels[i].frames - 1);
    const target = this.arrays[`${name}${i}`].subarray(at, at + 3);
    const span = this.clip.spans_of_views[name];
    this.stage.draw(i, frame, rectangle, { target, span, fade, ...orbit });
  }
}

/** A rectangle in whole pixels of the canvas. */
function pixels(box, scale) {
  const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map((edge) => Math.round(edge * scale));
  return { left, top, width: right - left, height: bottom - top };
}

/** Fill the lists of clips, speeds and views. */
function furnish(viewer) {
  data.clips.forEach(({ name, text, language }, i) => {
    const start = [...text].slice(0, 60).join("");
    $("clip").append(element("option", { value: i, lang: language }, start ? `${name}: ${start}` : name));
  });
  $("clips").hidden = data.clips.length < 2;
  for (const speed of SPEEDS) $("speed").append(element("option", { value: speed }, `${speed}×`));
  for (const view of data.views) {
    const id = `view-${view.name}`;
    const input = element("input", { type: "radio", name: "view", id });
    input.addEventListener("change", () => viewer.setView(view));
    $("views").append(element("span", {}, input, element("label", { for: id }, label(view.name))));
  }
  const { maximum, mean } = data.error;
  $("body").textContent =
    `Body: ${data.body.name}. It is skinned in this page; its vertices are off the body model's by ` +
    `${millimetres(maximum)} at most and ${millimetres(mean)} on average over all frames of this page.`;
}

/** Below a thousandth, only the rounding of single precision is left. */
const millimetres = (value) => (value < 0.001 ? "less than 0.001 mm" : `${value.toPrecision(2)} mm`);

async function start() {
  const arrays = await unpack("arrays-body", data.body.arrays);
  const colors = data.body.tints.map((_, i) => arrays[`colors${i}`]);
  const viewer = new Viewer(new Skin(arrays), colors);
  furnish(viewer);
  listen(viewer);
  viewer.setView(viewer.view);
  await viewer.choose(0);
  window.viewer = viewer; // for the browser's console
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) viewer.player.toggle();
  requestAnimationFrame((now) => viewer.run(now));
}

start().catch((error) => {
  $("problem").textContent = `The bodies cannot be shown: ${error.message}. A current browser with WebGL 2 is needed.`;
  $("problem").hidden = false;
  throw error;
});
