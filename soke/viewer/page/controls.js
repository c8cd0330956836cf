// Pointers, keys and buttons.

const TURN = Math.PI / 12, ZOOM = 1.2;

/** Drag to walk around, pinch or turn the wheel with Ctrl to zoom. */
function orbitWithPointer(view, turn) {
  const held = new Map();
  const spread = () => {
    const [a, b] = [...held.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  view.addEventListener("pointerdown", (event) => {
    view.setPointerCapture(event.pointerId);
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  view.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const far = held.size === 2 ? spread() : 0;
    const dx = event.clientX - before.x, dy = event.clientY - before.y;
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (held.size === 2) turn(0, 0, spread() / Math.max(far, 1));
    else turn(-dx / 120, event.pointerType === "mouse" ? dy / 120 : 0);
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    view.addEventListener(kind, (event) => held.delete(event.pointerId));
  }
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    turn(0, 0, Math.exp(-event.deltaY / 300));
  }, { passive: false });
}

/** What each key does. Digits select a view. */
function keys(viewer) {
  const { player } = viewer;
  const clips = data.clips.length;
  const other = (places) => viewer.choose((viewer.asked + places + clips) % clips);
  const map = {
    " ": () => player.toggle(),
    ArrowLeft: (event) => player.step(event.shiftKey ? -data.framesPerToken : -1),
    ArrowRight: (event) => player.step(event.shiftKey ? data.framesPerToken : 1),
    Home: () => player.seek(0),
    End: () => player.step(player.frames),
    "[": () => player.shift(-1),
    "]": () => player.shift(1),
    a: () => viewer.turn(-TURN, 0),
    d: () => viewer.turn(TURN, 0),
    w: () => viewer.turn(0, TURN),
    s: () => viewer.turn(0, -TURN),
    "+": () => viewer.turn(0, 0, ZOOM),
    "-": () => viewer.turn(0, 0, 1 / ZOOM),
    0: () => viewer.setView(viewer.view),
    n: () => other(1),
    p: () => other(-1),
  };
  data.views.forEach((view, i) => (map[i + 1] = () => viewer.setView(view)));
  return map;
}

/** Whether an element uses a key itself, as a list uses the arrows. */
function needs(target, key) {
  if (target.matches("select")) return true;
  const moves = key.startsWith("Arrow") || key === "Home" || key === "End";
  if (target.matches("input, .scroll") && moves) return true;
  return target.matches("button, input[type=radio], input[type=checkbox]") && key === " ";
}

function listen(viewer) {
  const { player } = viewer;
  const map = keys(viewer);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || needs(event.target, event.key)) return;
    if (event.key.length === 1 && event.key !== " " && !$("letters").checked) return;
    const action = map[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  for (const button of document.querySelectorAll("button[data-key]")) {
    button.addEventListener("click", () => map[button.dataset.key](button.dataset));
  }
  $("scrub").addEventListener("input", () => player.seek(Number($("scrub").value)));
  $("speed").addEventListener("change", () => player.setSpeed(Number($("speed").value)));
  $("repeat").addEventListener("change", () => (player.repeat = $("repeat").checked));
  $("clip").addEventListener("change", () => viewer.choose(Number($("clip").value)));
  new ResizeObserver(() => (viewer.stale = true)).observe($("stage"));
  $("canvas").addEventListener("webglcontextlost", (event) => event.preventDefault());
  $("canvas").addEventListener("webglcontextrestored", () => {
    viewer.stage.prepare();
    viewer.castBodies();
  });
}
