// Typed arrays from the page's compressed blocks, which array_block.py writes.

const TYPES = { Uint8Array, Int8Array, Uint16Array, Int16Array, Uint32Array, Float32Array };

/** The arrays by name, which `index` locates in the block of the element with that id. */
async function unpack(id, index) {
  const letters = atob(document.getElementById(id).textContent);
  const packed = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const arrays = {};
  for (const [name, { type, start, shape }] of Object.entries(index)) {
    arrays[name] = new TYPES[type](buffer, start, shape.reduce((a, b) => a * b, 1));
  }
  return arrays;
}
