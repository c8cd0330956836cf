"""One page about a test run that holds all it shows: scores, distributions, clips to watch.

`view` turns results into plain values, `charts` draws, `videos` renders clips, and `page` puts all
into the template. Texts of data sets reach the page through the template alone, which escapes them.
"""
