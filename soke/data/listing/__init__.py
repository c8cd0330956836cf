"""Which clips and isolated signs a data set lists: annotations in every form, and their sources."""
