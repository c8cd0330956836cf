// Draws bodies with WebGL 2: all on one canvas behind the page's panels, each in its rectangle.

const SHADOW_SIDE = 1024; // texels
const SHADOW_REACH = 0.8; // half of what the shadow map covers, in spans of the camera
const ATTRIBUTES = ["position", "normal", "color"];
const PALE = 0.5; // strength of a body whose clip is over

class Stage {
  /** `light` and `lens` as in the page's data. Throws where there is no WebGL 2. */
  constructor(canvas, skin, light, lens) {
    Object.assign(this, { canvas, skin, light, lens });
    this.gl = canvas.getContext("webgl2", { alpha: true, antialias: true });
    if (!this.gl) throw new Error("this browser has no WebGL 2");
    this.prepare();
  }

  /** Create programs, buffers and the shadow map; again after a lost WebGL context. */
  prepare() {
    const { gl } = this;
    this.bodies = [];
    this.body = program(gl, BODY_VERTEX, BODY_FRAGMENT);
    this.caster = program(gl, SHADOW_VERTEX, SHADOW_FRAGMENT);
    this.faces = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.faces);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.skin.faces, gl.STATIC_DRAW);
    this.shadow = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.shadow);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.DEPTH_COMPONENT24, SHADOW_SIDE, SHADOW_SIDE);
    for (const [name, value] of [
      [gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE],
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR],
      [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    ]) {
      gl.texParameteri(gl.TEXTURE_2D, name, value);
    }
    this.shadowFrame = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowFrame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, this.shadow, 0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.SCISSOR_TEST);
  }

  /** Take new bodies: an array of {motion, frames, colors}. */
  cast(bodies) {
    const { gl } = this;
    for (const body of this.bodies) body.buffers.forEach((buffer) => gl.deleteBuffer(buffer));
    this.bodies = bodies.map((body) => this.dress(body));
  }

  dress({ motion, frames, colors }) {
    const { gl, skin } = this;
    const array = gl.createVertexArray();
    const buffers = ATTRIBUTES.map(() => gl.createBuffer());
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.faces);
    ATTRIBUTES.forEach((name, i) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[i]);
      if (name === "color") gl.bufferData(gl.ARRAY_BUFFER, colors, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(i);
      const [type, isShare] = name === "color" ? [gl.UNSIGNED_BYTE, true] : [gl.FLOAT, false];
      gl.vertexAttribPointer(i, 3, type, isShare, 0, 0);
    });
    gl.bindVertexArray(null);
    const positions = new Float32Array(3 * skin.vertexCount);
    return { motion, frames, array, buffers, positions, normals: positions.slice(), shown: -1 };
  }

  /** Pose a body for a frame. After its end it holds the last one. */
  move(body, frame) {
    frame = Math.min(frame, body.frames - 1);
    if (frame === body.shown) return;
    const { gl, skin } = this;
    skin.pose(body.motion, frame, body.positions);
    skin.normals(body.positions, body.normals);
    [body.positions, body.normals].forEach((values, i) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, body.buffers[i]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    });
    body.shown = frame;
  }

  /** Clear the canvas and resize it to `width` x `height` pixels. */
  clear(width, height) {
    const { gl, canvas } = this;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    gl.scissor(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  }

  /**
   * Draw body number `index` at a frame into a rectangle [left, top, width, height] of the
   * canvas, in pixels. `camera` is {target, span, fade, yaw, pitch, zoom}.
   */
  draw(index, frame, rectangle, camera) {
    const { gl } = this;
    const body = this.bodies[index];
    this.move(body, frame);
    const { target, span } = camera;
    const light = fromLight(this.light.key, target, SHADOW_REACH * span);
    gl.bindVertexArray(body.array);
    this.drawShadow(light);
    const [left, top, width, height] = rectangle;
    const bottom = this.canvas.height - top - height;
    gl.viewport(left, bottom, width, height);
    gl.scissor(left, bottom, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const axes = cameraAxes(camera.yaw, camera.pitch);
    const seen = perspective(axes, target, span / camera.zoom, this.lens * span, width / height);
    const { uniforms } = this.use(this.body);
    gl.uniformMatrix4fv(uniforms.camera, false, seen);
    gl.uniformMatrix4fv(uniforms.light, false, light);
    gl.uniform4f(uniforms.back, ...axes[2], dot(axes[2], target));
    gl.uniform1f(uniforms.bias, (1.3 * 2 * SHADOW_REACH * span) / SHADOW_SIDE);
    gl.uniform4fv(uniforms.key, this.light.key);
    gl.uniform4fv(uniforms.fill, this.light.fill);
    gl.uniform3fv(uniforms.around, this.light.around);
    gl.uniform2f(uniforms.fade, camera.fade ?? 1e6, camera.fade ?? 1);
    gl.uniform1f(uniforms.strength, frame < body.frames ? 1 : PALE);
    this.drawFaces();
  }

  drawShadow(light) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowFrame);
    gl.viewport(0, 0, SHADOW_SIDE, SHADOW_SIDE);
    gl.scissor(0, 0, SHADOW_SIDE, SHADOW_SIDE);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    const { uniforms } = this.use(this.caster);
    gl.uniformMatrix4fv(uniforms.light, false, light);
    this.drawFaces();
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  use(entry) {
    this.gl.useProgram(entry.program);
    return entry;
  }

  drawFaces() {
    const { gl, skin } = this;
    const type = skin.faces instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.UNSIGNED_INT;
    gl.drawElements(gl.TRIANGLES, skin.faces.length, type, 0);
  }
}

/** A program and its uniform locations by name. Throws with the compiler's message. */
function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
      throw new Error(gl.getShaderInfoLog(shader));
    }
  }
  ATTRIBUTES.forEach((name, i) => gl.bindAttribLocation(made, i, name));
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(gl.getProgramInfoLog(made));
  }
  const uniforms = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { program: made, uniforms };
}
