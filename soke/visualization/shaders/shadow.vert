#version 400
// The mesh from the key light: only its depth is kept.

uniform mat3 light_axes;
uniform vec3 target;
uniform float texel;  // metres
uniform vec2 light_range;  // metres towards the light, relative to the target
uniform float map_side;  // texels

in vec3 position;

void main() {
    vec3 lit = light_axes * (position - target);
    float towards = (lit.z - light_range.x) / (light_range.y - light_range.x);
    gl_Position = vec4(2.0 * lit.xy / (texel * map_side), 1.0 - 2.0 * towards, 1.0);
}
