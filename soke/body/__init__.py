"""The SMPL-X body: layer, joint sets, rigid alignment."""
