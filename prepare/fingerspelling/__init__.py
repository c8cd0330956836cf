"""Sign motion that anyone can make: words spelled with recorded finger alphabets.

The recordings are MediaPipe tracks of real signers inside the ``spoken-to-signed`` wheel. They are
turned into SMPL-X pose parameters here, on the user's machine, strung together to words, and
written in the layouts of the three benchmarks, so that the real loaders read them. Fingerspelling
is not signed grammar, and the Chinese words are pinyin spelled with a Slovak alphabet, which is
not Chinese Sign Language.
"""
