"""A plain reader of rigged .glb files, written from the glTF 2.0 specification."""

import json
import struct

import numpy as np
from scipy.spatial.transform import Rotation

TYPES = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    def __init__(self, content):
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.json = json.loads(content[20 : 20 + size])
        rest, kind = struct.unpack_from("<I4s", content, 20 + size)
        self.binary = content[28 + size :]
        assert kind == b"BIN\0" and len(self.binary) == rest
        assert self.json["buffers"][0]["byteLength"] == rest

    def _numbers(self, view, component, count, width, start=0):
        view = self.json["bufferViews"][view]
        offset = view["byteOffset"] + start
        size = np.dtype(TYPES[component]).itemsize
        assert offset % size == 0 and count * width * size <= view["byteLength"]
        values = np.frombuffer(self.binary, TYPES[component], count * width, offset)
        return values.reshape(count, width)

    def array(self, number):
        row = self.json["accessors"][number]
        width = WIDTHS[row["type"]]
        if "bufferView" in row:
            values = self._numbers(row["bufferView"], row["componentType"], row["count"], width)
        else:
            values = np.zeros((row["count"], width), TYPES[row["componentType"]])
        if "sparse" in row:
            few = row["sparse"]
            at = self._numbers(
                few["indices"]["bufferView"], few["indices"]["componentType"], few["count"], 1
            )[:, 0]
            assert (np.diff(at.astype(int)) > 0).all()
            values[at] = self._numbers(
                few["values"]["bufferView"], row["componentType"], few["count"], width
            )
        if "min" in row:
            np.testing.assert_array_equal(values.min(axis=0), np.float32(row["min"]))
            np.testing.assert_array_equal(values.max(axis=0), np.float32(row["max"]))
        return values / np.iinfo(values.dtype).max if row.get("normalized") else values

    @property
    def primitive(self):
        return self.json["meshes"][0]["primitives"][0]

    def attribute(self, name):
        return self.array(self.primitive["attributes"][name])

    @property
    def times(self):
        return self.array(self.json["animations"][0]["samplers"][0]["input"])[:, 0]

    def _at(self, frame):
        """Rotations of nodes by number, and the weights of the morph targets."""
        turns = [n.get("rotation", [0, 0, 0, 1]) for n in self.json["nodes"]]
        weights = self.json["meshes"][0].get("weights", [])
        animation = self.json["animations"][0]
        for channel in animation["channels"]:
            values = self.array(animation["samplers"][channel["sampler"]]["output"])
            if channel["target"]["path"] == "rotation":
                turns[channel["target"]["node"]] = values[frame]
            else:
                weights = values.reshape(len(self.times), -1)[frame]
        return turns, weights

    def joints(self, frame):
        """World matrices of the skin's joints [J, 4, 4]."""
        turns, _ = self._at(frame)
        world = {}

        def walk(number, above):
            node = self.json["nodes"][number]
            local = np.eye(4)
            local[:3, :3] = Rotation.from_quat(turns[number]).as_matrix()
            local[:3, 3] = node.get("translation", [0, 0, 0])
            world[number] = above @ local
            for child in node.get("children", []):
                walk(child, world[number])

        for number in self.json["scenes"][0]["nodes"]:
            walk(number, np.eye(4))
        return np.stack([world[number] for number in self.json["skins"][0]["joints"]])

    def vertices(self, frame):
        """The skinned surface [V, 3]."""
        skin = self.json["skins"][0]
        binds = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        moved = self.joints(frame) @ binds
        points = self.attribute("POSITION").astype(float)
        for target, weight in zip(self.primitive.get("targets", []), self._at(frame)[1]):
            points = points + weight * self.array(target["POSITION"])
        points = np.concatenate([points, np.ones((len(points), 1))], axis=1)
        result = 0
        for k in range(2):
            if f"JOINTS_{k}" not in self.primitive["attributes"]:
                continue
            for joint, weight in zip(
                self.attribute(f"JOINTS_{k}").T, self.attribute(f"WEIGHTS_{k}").T
            ):
                result = result + weight[:, None] * np.einsum("vij,vj->vi", moved[joint], points)
        return result[:, :3]
