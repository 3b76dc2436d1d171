"""Archives of strangers: a zip or tar.gz is checked as a whole, then written into a folder of its own.

Nothing is written before every name, link, kind and size has been looked at. What is read is bounded beforehand, whatever
the archive claims. Files and folders are made first and links last, so that nothing is ever written through a link.
Standard library only: scripts use it, too, before anything is installed.
"""

from localwhisk.archives.tars import untar
from localwhisk.archives.tree import Bounds, Refused
from localwhisk.archives.zips import unzip

__all__ = ["Bounds", "Refused", "untar", "unzip"]
