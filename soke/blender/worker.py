"""Runs inside Blender's own Python and draws meshes from files, one after another.

    blender-environment/bin/python worker.py SETTINGS.json

This file imports nothing from the package, and the package does not import it, since Blender needs
an older numpy. Each line on standard input is a job, ``{"mesh": "x.npz", "camera": {...},
"picture": "x.png"}``; each is answered by a line on standard output, ``{"done": "x.png"}``. All
axes are those of the meshes: +y up, the body facing +z.
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

ROUGHNESS = 0.6  # of skin and clothes
SENSOR = 24.0  # millimetres of its height; only its ratio to the lens matters


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Blender prints to standard output
    stage = Stage(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    answers.write(json.dumps({"ready": bpy.app.version_string}) + "\n")
    for line in sys.stdin:
        job = json.loads(line)
        stage.draw(job)
        answers.write(json.dumps({"done": job["picture"]}) + "\n")


class Stage:
    """Light, a camera and one mesh whose vertices change."""

    def __init__(self, settings: dict[str, Any]) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.scene = bpy.context.scene
        self.faces = np.load(settings["faces"])
        self.mesh = None
        self.material = material(settings["lighting"]["ground"])
        self.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
        self.scene.collection.objects.link(self.camera)
        self.scene.camera = self.camera
        render_settings(self.scene, settings)
        light = settings["lighting"]
        self.sun("key", light["key_direction"], light["key"], degrees=6)
        self.sun("fill", light["fill_direction"], light["fill"], degrees=40)
        self.scene.world = surroundings(light["sky"], light["floor"])

    def sun(
        self, name: str, towards: tuple[float, float, float], brightness: float, degrees: float
    ) -> None:
        data = bpy.data.lights.new(name, "SUN")
        data.energy = math.pi * brightness  # a white surface facing it reflects ``brightness``
        data.angle = math.radians(degrees)  # a wide sun casts soft shadows
        lamp = bpy.data.objects.new(name, data)
        back = np.asarray(towards, float) / np.linalg.norm(towards)
        side = np.cross((0.0, 1.0, 0.0), back)
        side /= np.linalg.norm(side)
        place(lamp, np.stack([side, np.cross(back, side), back]), (0, 0, 0))
        self.scene.collection.objects.link(lamp)

    def draw(self, job: dict[str, Any]) -> None:
        with np.load(job["mesh"]) as arrays:
            self.show(arrays["vertices"], arrays["colors"])
        camera = job["camera"]
        data = self.camera.data
        data.sensor_fit = "VERTICAL"
        data.sensor_height = SENSOR
        data.lens = SENSOR * camera["lens"]
        data.clip_start = 0.01
        data.clip_end = 100.0
        place(self.camera, camera["rotation"], camera["eye"])
        fade = camera["fade"]
        ramp = self.material.node_tree.nodes["fade"]
        start = camera["distance"] + fade if fade else 1e6
        ramp.inputs["From Min"].default_value = start
        ramp.inputs["From Max"].default_value = start + (fade or 1)
        render = self.scene.render
        render.resolution_x = camera["width"]
        render.resolution_y = camera["height"]
        render.filepath = job["picture"]
        bpy.ops.render.render(write_still=True)

    def show(self, vertices: np.ndarray, colors: np.ndarray) -> None:
        if self.mesh is None:
            self.mesh = bpy.data.meshes.new("body")
            self.mesh.from_pydata(vertices.tolist(), [], self.faces.tolist())
            self.mesh.polygons.foreach_set("use_smooth", np.ones(len(self.faces), bool))
            self.mesh.color_attributes.new("tint", "FLOAT_COLOR", "POINT")
            self.mesh.materials.append(self.material)
            body = bpy.data.objects.new("body", self.mesh)
            self.scene.collection.objects.link(body)
        self.mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
        opaque = np.ones((len(colors), 4), np.float32)
        opaque[:, :3] = linear(colors)
        self.mesh.color_attributes["tint"].data.foreach_set("color", opaque.ravel())
        self.mesh.update()


def linear(colors: np.ndarray) -> np.ndarray:
    """sRGB (0 to 1) to linear light."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def place(thing: bpy.types.Object, rotation: np.ndarray, eye: tuple[float, float, float]) -> None:
    """Place an object; the rows of ``rotation`` are its right, up and back."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(rotation).T
    matrix[:3, 3] = eye
    thing.matrix_world = Matrix(matrix.tolist())


def render_settings(scene: bpy.types.Scene, settings: dict[str, Any]) -> None:
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = settings["samples"]
    scene.cycles.use_denoising = True
    scene.cycles.seed = 0
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    if settings["threads"]:
        scene.render.threads_mode = "FIXED"
        scene.render.threads = settings["threads"]


def material(ground: tuple[int, int, int] | None) -> bpy.types.Material:
    """The colours of the vertices, fading with depth to ``ground`` (sRGB, 0 to 255).

    Without a ground they fade to transparent.
    """
    made = bpy.data.materials.new("body")
    made.cycles.emission_sampling = "NONE"  # faded surfaces emit no light on others
    made.use_nodes = True
    nodes = made.node_tree.nodes
    links = made.node_tree.links
    nodes.clear()
    color = nodes.new("ShaderNodeAttribute")
    color.attribute_name = "tint"
    surface = nodes.new("ShaderNodeBsdfPrincipled")
    surface.inputs["Roughness"].default_value = ROUGHNESS
    surface.inputs["Specular IOR Level"].default_value = 0.25
    links.new(color.outputs["Color"], surface.inputs["Base Color"])
    depth = nodes.new("ShaderNodeCameraData")
    ramp = nodes.new("ShaderNodeMapRange")
    ramp.name = "fade"
    seen = nodes.new("ShaderNodeLightPath")
    only_seen = nodes.new("ShaderNodeMath")  # a faded arm still casts its shadow
    only_seen.operation = "MULTIPLY"
    links.new(depth.outputs["View Z Depth"], ramp.inputs["Value"])
    links.new(ramp.outputs["Result"], only_seen.inputs[0])
    links.new(seen.outputs["Is Camera Ray"], only_seen.inputs[1])
    mix = nodes.new("ShaderNodeMixShader")
    faded = nodes.new("ShaderNodeBsdfTransparent" if ground is None else "ShaderNodeEmission")
    if ground is not None:
        faded.inputs["Color"].default_value = (*linear(np.array(ground) / 255).tolist(), 1.0)
    links.new(only_seen.outputs["Value"], mix.inputs["Fac"])
    links.new(surface.outputs["BSDF"], mix.inputs[1])
    links.new(faded.outputs[0], mix.inputs[2])
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(mix.outputs["Shader"], output.inputs["Surface"])
    return made


def surroundings(sky: float, floor: float) -> bpy.types.World:
    """Ambient light: ``sky`` from above, ``floor`` from below, blended in between."""
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    nodes = world.node_tree.nodes
    links = world.node_tree.links
    nodes.clear()
    where = nodes.new("ShaderNodeTexCoord")
    axes = nodes.new("ShaderNodeSeparateXYZ")
    ramp = nodes.new("ShaderNodeMapRange")
    light = nodes.new("ShaderNodeBackground")
    output = nodes.new("ShaderNodeOutputWorld")
    for name, value in (("From Min", -1), ("From Max", 1), ("To Min", floor), ("To Max", sky)):
        ramp.inputs[name].default_value = value
    links.new(where.outputs["Generated"], axes.inputs["Vector"])
    links.new(axes.outputs["Y"], ramp.inputs["Value"])
    links.new(ramp.outputs["Result"], light.inputs["Strength"])
    links.new(light.outputs["Background"], output.inputs["Surface"])
    return world


if __name__ == "__main__":
    main()
