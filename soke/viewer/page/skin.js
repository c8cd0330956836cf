// The body model in the browser: vertex directions, forward kinematics, linear blend skinning.
// It runs on the CPU in the same order as skin.py, so that the result can be compared with the body
// model and normals are those of the posed surface.

class Skin {
  /** `arrays` as packed by skin.py: V vertices, F faces, J joints, K directions. */
  constructor(arrays) {
    Object.assign(this, arrays);
    this.vertexCount = this.template.length / 3;
    this.jointCount = this.parents.length;
    this.shaped = new Float32Array(this.template.length);
    this.rests = new Float32Array(this.rest.length);
    this.global = new Float32Array(12 * this.jointCount); // rows of a 3 x 4 matrix a joint
    this.relative = new Float32Array(12 * this.jointCount);
  }

  /** Vertices [V * 3] in metres of a frame of a motion, into `positions`. */
  pose(motion, frame, positions) {
    this.shape(motion, frame);
    this.turn(motion.rotations.subarray(frame * 3 * this.jointCount));
    this.blend(positions);
  }

  /** Expression and pose correctives: vertices and joints at rest. */
  shape({ coefficients }, frame) {
    const { shaped, rests, scales, directions, jointDirections } = this;
    const count = scales.length;
    shaped.set(this.template);
    rests.set(this.rest);
    for (let k = 0; k < count; k++) {
      const amount = coefficients[frame * count + k];
      if (amount === 0) continue;
      const scale = amount * scales[k];
      for (let i = 0, from = k * shaped.length; i < shaped.length; i++) {
        shaped[i] += scale * directions[from + i];
      }
      for (let i = 0, from = k * rests.length; i < rests.length; i++) {
        rests[i] += amount * jointDirections[from + i];
      }
    }
  }

  /** Each joint's transform from axis-angles [J * 3]; parents come before their children. */
  turn(rotations) {
    const { parents, rests, global, relative } = this;
    const local = new Float32Array(9);
    for (let j = 0; j < this.jointCount; j++) {
      const [x, y, z] = rests.subarray(3 * j, 3 * j + 3);
      const parent = parents[j];
      rotationMatrix(rotations.subarray(3 * j, 3 * j + 3), local);
      for (let row = 0; row < 3; row++) {
        const at = 12 * j + 4 * row;
        if (parent < 0) {
          global.set(local.subarray(3 * row, 3 * row + 3), at);
          global[at + 3] = rests[3 * j + row];
        } else {
          const up = 12 * parent + 4 * row;
          const [a, b, c, moved] = global.subarray(up, up + 4);
          for (let i = 0; i < 3; i++) {
            global[at + i] = a * local[i] + b * local[3 + i] + c * local[6 + i];
          }
          const p = 3 * parent;
          global[at + 3] = a * (x - rests[p]) + b * (y - rests[p + 1]) + c * (z - rests[p + 2]) + moved;
        }
        const [a, b, c, moved] = global.subarray(at, at + 4);
        relative[at] = a;
        relative[at + 1] = b;
        relative[at + 2] = c;
        relative[at + 3] = moved - a * x - b * y - c * z;
      }
    }
  }

  /** Each vertex follows its joints by their weights. */
  blend(positions) {
    const { shaped, influences, joints, weights, relative } = this;
    const m = new Float32Array(12);
    for (let v = 0, at = 0; v < this.vertexCount; v++) {
      m.fill(0);
      for (let left = influences[v]; left > 0; left--, at++) {
        const from = 12 * joints[at];
        const weight = weights[at];
        for (let i = 0; i < 12; i++) m[i] += weight * relative[from + i];
      }
      const x = shaped[3 * v], y = shaped[3 * v + 1], z = shaped[3 * v + 2];
      positions[3 * v] = m[0] * x + m[1] * y + m[2] * z + m[3];
      positions[3 * v + 1] = m[4] * x + m[5] * y + m[6] * z + m[7];
      positions[3 * v + 2] = m[8] * x + m[9] * y + m[10] * z + m[11];
    }
  }

  /** Unit normals [V * 3]: the sum of the normals of a vertex's faces, weighted by their areas. */
  normals(positions, normals) {
    const { faces } = this;
    normals.fill(0);
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const ax = positions[a], ay = positions[a + 1], az = positions[a + 2];
      const ux = positions[b] - ax, uy = positions[b + 1] - ay, uz = positions[b + 2] - az;
      const vx = positions[c] - ax, vy = positions[c + 1] - ay, vz = positions[c + 2] - az;
      const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
      normals[a] += x; normals[a + 1] += y; normals[a + 2] += z;
      normals[b] += x; normals[b + 1] += y; normals[b + 2] += z;
      normals[c] += x; normals[c + 1] += y; normals[c + 2] += z;
    }
    for (let i = 0; i < normals.length; i += 3) {
      const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
      normals[i] /= length; normals[i + 1] /= length; normals[i + 2] /= length;
    }
  }
}

/** The 3 x 3 matrix, row by row, of an axis-angle (Rodrigues' formula). */
function rotationMatrix([x, y, z], matrix) {
  const angle = Math.sqrt(x * x + y * y + z * z);
  if (angle < 1e-9) {
    matrix.set([1, 0, 0, 0, 1, 0, 0, 0, 1]);
    return;
  }
  const s = Math.sin(angle), c = Math.cos(angle), t = 1 - c;
  x /= angle; y /= angle; z /= angle;
  matrix[0] = t * x * x + c; matrix[1] = t * x * y - s * z; matrix[2] = t * x * z + s * y;
  matrix[3] = t * x * y + s * z; matrix[4] = t * y * y + c; matrix[5] = t * y * z - s * x;
  matrix[6] = t * x * z - s * y; matrix[7] = t * y * z + s * x; matrix[8] = t * z * z + c;
}
