// The light is that of soke/visualization/renderer.py: a key light with a shadow, a fill light,
// ambient light, and slightly darker outlines. The background is the page's own.

const BODY_VERTEX = `#version 300 es
in vec3 position;
in vec3 normal;
in vec3 color;
uniform mat4 camera;
uniform mat4 light;
uniform vec4 back;      // towards the viewer; w: depth of the target along it
uniform float bias;     // metres along the normal, against shadow acne
out vec3 surfaceNormal;
out vec3 surfaceColor;
out vec3 inShadowMap;
out float behind;       // metres behind the target
void main() {
  surfaceNormal = normal;
  surfaceColor = pow(color, vec3(2.2));
  inShadowMap = (light * vec4(position + bias * normal, 1.0)).xyz * 0.5 + 0.5;
  behind = back.w - dot(position, back.xyz);
  gl_Position = camera * vec4(position, 1.0);
}`;

const BODY_FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DShadow;
in vec3 surfaceNormal;
in vec3 surfaceColor;
in vec3 inShadowMap;
in float behind;
uniform vec4 back;
uniform vec4 key;       // direction, intensity
uniform vec4 fill;
uniform vec3 around;    // from the sky, from the floor, darkening of edges
uniform vec2 fade;      // metres behind the target at which it begins, and over which it ends
uniform float strength; // 1, or less for a clip that is over
uniform sampler2DShadow shadow;
out vec4 pixel;

float litShare() {
  float texel = 1.0 / float(textureSize(shadow, 0).x);
  float sum = 0.0;
  for (int i = -1; i <= 1; i++) {
    for (int j = -1; j <= 1; j++) {
      sum += texture(shadow, inShadowMap + vec3(1.5 * texel * vec2(i, j), -0.0007));
    }
  }
  return sum / 9.0;
}

void main() {
  vec3 normal = normalize(surfaceNormal);
  float facing = dot(normal, back.xyz);
  if (facing < -0.3) {  // the inside of an open mesh
    normal = -normal;
    facing = -facing;
  }
  float lit = max(dot(normal, key.xyz), 0.0) * key.w * litShare();
  lit += max(dot(normal, fill.xyz), 0.0) * fill.w;
  lit += mix(around.y, around.x, 0.5 + 0.5 * normal.y);
  float turned = 1.0 - clamp(facing, 0.0, 1.0);
  lit *= 1.0 - around.z * turned * turned;
  vec3 color = pow(min(lit * surfaceColor, 1.0), vec3(1.0 / 2.2));
  float opaque = strength * (1.0 - clamp((behind - fade.x) / fade.y, 0.0, 1.0));
  pixel = vec4(color * opaque, opaque);
}`;

const SHADOW_VERTEX = `#version 300 es
in vec3 position;
uniform mat4 light;
void main() { gl_Position = light * vec4(position, 1.0); }`;

const SHADOW_FRAGMENT = `#version 300 es
precision mediump float;
void main() {}`;
