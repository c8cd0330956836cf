// Find and create elements. Texts only become text nodes and attribute values, never markup.

const $ = (id) => document.getElementById(id);

/** An element with attributes and children; a string becomes text, null is left out. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const label = (name) => name.replaceAll("_", " ");

/** The text as spans; class and title mark retrieved and missing words. */
function caption(clip) {
  const titles = { retrieved: "retrieved from the dictionary", missing: "not in the dictionary" };
  return clip.spans.map(([letters, kind]) =>
    kind ? element("span", { class: kind, title: titles[kind] }, letters) : letters,
  );
}

/** A line "Retrieved signs: one, two", or nothing. */
function wordList(heading, kind, words, language) {
  if (!words.length) return null;
  const items = words.map((word) => element("li", { class: kind, lang: language }, word));
  const id = `heading-${kind}`;
  return element(
    "div",
    { class: "words" },
    element("span", { id }, heading),
    element("ul", { "aria-labelledby": id }, ...items),
  );
}
