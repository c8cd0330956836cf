"""A page that shows signing bodies in any browser, from one file."""

from soke.viewer.page_writer import write_page

__all__ = ["write_page"]
