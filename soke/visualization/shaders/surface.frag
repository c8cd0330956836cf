#version 400
// What is seen at a sample: its normal, unscaled, and the square root of its linear colour, which
// loses little in eight bits. Light comes later.

in vec3 surface_normal;
in vec3 surface_color;

layout(location = 0) out vec4 seen_normal;
layout(location = 1) out vec4 seen_color;

void main() {
    seen_normal = vec4(surface_normal, 0.0);
    seen_color = vec4(sqrt(surface_color), 1.0);
}
