#version 400
// Where a vertex is in the picture. Row 0 of the target is the top of the picture, as in memory.

uniform mat3 rotation;  // rows: right, up, back to the camera
uniform vec3 eye;
uniform vec2 zoom;  // from metres across, divided by depth, to clip space
uniform vec2 depth_range;  // metres from the camera

in vec3 position;
in vec3 normal;
in vec3 color;

out vec3 surface_normal;
out vec3 surface_color;

void main() {
    vec3 seen = rotation * (position - eye);
    float depth = -seen.z;
    float near = depth_range.x, far = depth_range.y;
    float height = ((far + near) * depth - 2.0 * far * near) / (far - near);
    gl_Position = vec4(zoom.x * seen.x, -zoom.y * seen.y, height, depth);
    surface_normal = normal;
    surface_color = color;
}
