"""Build the free stand-in body: MakeHuman's CC0 data in the file format of SMPL-X.

The licensed SMPL-X files cannot be shipped. This body has their array shapes, joint order and
landmark vertex numbers, so `smplx.SMPLX` loads it and no code needs to know which one it runs on.
It is not SMPL-X: scores measured on it are not comparable with published ones.

Reading order: `makehuman` (source data) -> `skeleton` (names) -> `surface` and `decimation` (which
vertices are kept) -> `t_pose` -> `directions` (shape, expression) -> `joint_regressor` ->
`side_files` -> `writing`, all called in turn by `build`.
"""
