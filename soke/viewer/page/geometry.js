// Cameras: the same as soke/visualization/camera.py, which computes where they look.

/** Rows right, up and back of a camera that has orbited by `yaw` and `pitch` (radians). */
function cameraAxes(yaw, pitch) {
  const sy = Math.sin(yaw), cy = Math.cos(yaw), sp = Math.sin(pitch), cp = Math.cos(pitch);
  return [[cy, 0, -sy], [-sy * sp, cp, -cy * sp], [sy * cp, sp, cy * cp]];
}

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/**
 * The matrix (column by column) from metres to clip space. `span` metres are visible across the
 * shorter side of a picture of `aspect` (width / height), at the target; the camera is `distance`
 * metres in front of it.
 */
function perspective(axes, target, span, distance, aspect) {
  const reach = Math.min(0.9 * distance, 3);
  const near = distance - reach, far = distance + reach;
  const zoom = (2 * distance) / span;
  const zoomX = aspect > 1 ? zoom / aspect : zoom, zoomY = aspect > 1 ? zoom : zoom * aspect;
  const [right, up, back] = axes;
  const offset = [-dot(right, target), -dot(up, target), -dot(back, target) - distance];
  const depth = (near + far) / (near - far);
  const matrix = new Float32Array(16);
  for (let i = 0; i < 3; i++) {
    matrix.set([zoomX * right[i], zoomY * up[i], depth * back[i], -back[i]], 4 * i);
  }
  const w = -offset[2];
  matrix.set([zoomX * offset[0], zoomY * offset[1], -depth * w + (2 * near * far) / (near - far), w], 12);
  return matrix;
}

/** The matrix from metres to the shadow map's clip space: `half` metres around the target. */
function fromLight(direction, target, half) {
  const length = Math.hypot(direction[2], direction[0]);
  const right = [direction[2] / length, 0, -direction[0] / length];
  const up = [
    direction[1] * right[2] - direction[2] * right[1],
    direction[2] * right[0] - direction[0] * right[2],
    direction[0] * right[1] - direction[1] * right[0],
  ];
  const deep = 3; // metres before and behind the target in which things cast shadows
  const matrix = new Float32Array(16);
  for (let i = 0; i < 3; i++) {
    matrix.set([right[i] / half, up[i] / half, -direction[i] / deep, 0], 4 * i);
  }
  matrix.set([-dot(right, target) / half, -dot(up, target) / half, dot(direction, target) / deep, 1], 12);
  return matrix;
}
