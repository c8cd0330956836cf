"""From a configuration to objects.

Besides `soke.config`, only this package, `soke.signer` and `soke.cli` read a configuration.
Everything below takes explicit arguments.
"""
