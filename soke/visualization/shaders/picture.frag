#version 400
// Light and colour of a pixel: the samples of the surface, lit and averaged in linear colours.
// It computes what kernels.py does, so that both draw the same picture.
//
// Mesa on the CPU computes both branches of an `if` and unrolls loops of known length, but ends a
// loop, or a discarded group of pixels, as soon as all of them are done. Hence work that few pixels
// need stands in loops whose length is a uniform: that makes this pass three times as fast there.

uniform sampler2D normals;
uniform sampler2D colors;
uniform sampler2D depths;
uniform sampler2D shadow;

uniform int scale;  // samples a pixel are scale x scale
uniform mat3 rotation;
uniform float distance;  // from the camera to the target, metres
uniform vec2 zoom;
uniform vec2 depth_range;

uniform int last_tap;  // of the shadow; below -TAPS without one
uniform mat3 light_axes;
uniform float texel;
uniform float bias;
uniform vec2 light_range;
uniform float softness;

uniform vec4 key;  // direction and intensity
uniform vec4 fill;
uniform vec3 around;  // from the sky, from the floor, darkening of edges
uniform vec3 ground;
uniform bool transparent;
uniform vec2 fade;  // depth at which it starts, and over how many metres

out vec4 pixel;

const int TAPS = SHADOW_TAPS;
const float BACK = FACING_AWAY;
const float SAME_DEPTH = DEPTH_STEP;

// How much of texels at `places` lies in a window of 2 TAPS texels that is `within` texels on.
vec2 overlap(vec2 places, float within) {
    return clamp(min(places + 1.0, within + float(TAPS)) - max(places, within - float(TAPS)), 0.0, 1.0);
}

// Share of the key light that reaches a point of the shadow map's space. Where nobody has `asked`
// it is of no use, and cheap.
float lit_share(vec3 point, bool asked) {
    ivec2 middle = ivec2(floor(point.xy));
    int side = textureSize(shadow, 0).x;
    bool inside = all(greaterThanEqual(middle, ivec2(TAPS)))
        && all(lessThan(middle, ivec2(side - TAPS - 1)));
    vec2 within = point.xy - vec2(middle);
    float total = 0.0;
    for (int i = asked && inside ? -TAPS : last_tap + 1; i <= last_tap; i += 2) {
        vec2 rows = overlap(vec2(i, i + 1), within.y);
        for (int j = -TAPS; j <= TAPS; j += 2) {
            vec2 columns = overlap(vec2(j, j + 1), within.x);
            // Four texels at once, those round this corner: counted from the one above, at the left,
            // the second row comes first and the first row backwards.
            vec4 depth = textureGather(shadow, vec2(middle + ivec2(j + 1, i + 1)) / float(side));
            vec4 nearest = mix(vec4(light_range.y), vec4(light_range.x), depth);
            vec4 blocked = clamp((nearest - point.z) / softness, 0.0, 1.0);
            total += dot(rows.yyxx * columns.xyyx, blocked);
        }
    }
    return 1.0 - total / float(4 * TAPS * TAPS);
}

// Light of a sample towards the viewer, times how much of it does not fade into the ground.
vec4 light_sample(ivec2 place, float depth) {
    vec3 interpolated = texelFetch(normals, place, 0).xyz;
    vec3 normal = interpolated / max(length(interpolated), 1e-9);
    float facing = dot(normal, vec3(0.0, 0.0, 1.0) * rotation);
    if (facing < BACK) {
        normal = -normal;
        facing = -facing;
    }
    float from_key = max(dot(normal, key.xyz), 0.0) * key.w;
    vec2 corner = 2.0 * (vec2(place) + 0.5) / vec2(textureSize(depths, 0)) - 1.0;
    vec3 seen = vec3(corner * vec2(1.0, -1.0) / zoom * depth, distance - depth);
    vec3 point = light_axes * (seen * rotation + bias * texel * interpolated);
    point.xy = point.xy / texel + 0.5 * float(textureSize(shadow, 0).x);
    from_key *= lit_share(point, from_key > 0.0);
    float from_fill = max(dot(normal, fill.xyz), 0.0) * fill.w;
    float from_around = mix(around.y, around.x, 0.5 + 0.5 * normal.y);
    float turned = 1.0 - clamp(facing, 0.0, 1.0);
    float level = (from_key + from_fill + from_around) * (1.0 - around.z * turned * turned);
    vec3 color = texelFetch(colors, place, 0).rgb;  // its square root is stored
    float kept = 1.0 - clamp((depth - fade.x) / fade.y, 0.0, 1.0);
    return kept * vec4(min(level * color * color, 1.0), 1.0);
}

ivec2 sample_place(int i) {
    return scale * ivec2(gl_FragCoord.xy) + ivec2(i % scale, i / scale);
}

// Depth in metres of a sample, 0 where there is only ground.
float sample_depth(int i) {
    float height = texelFetch(depths, sample_place(i), 0).r;
    return height == 1.0
        ? 0.0 : depth_range.x * depth_range.y / mix(depth_range.y, depth_range.x, height);
}

void main() {
    int count = scale * scale, i = 0;
    while (i < count && sample_depth(i) == 0.0)
        ++i;
    if (i == count)
        discard;  // the target was cleared with the ground
    vec4 total = vec4(0.0);
    while (i < count) {
        // Shading is smooth: it is worked out again only where a pixel holds an outline or a steep
        // slope, so most pixels go round once.
        float depth = sample_depth(i);
        vec4 light = light_sample(sample_place(i), depth);
        float others = depth;
        while (i < count && (others == 0.0 || abs(others / depth - 1.0) <= SAME_DEPTH)) {
            total += others == 0.0 ? vec4(0.0) : light;
            others = ++i < count ? sample_depth(i) : 0.0;
        }
    }
    total /= float(count);
    vec3 mixed = transparent ? total.rgb / max(total.a, 1e-6) : total.rgb + ground * (1.0 - total.a);
    pixel = vec4(pow(clamp(mixed, 0.0, 1.0), vec3(1.0 / 2.2)), transparent ? total.a : 1.0);
}
