"""Data sets by name, and a loader that feeds them to a device."""

from bregtutorial.data.corrupt import Corrupted
from bregtutorial.data.imageset import ImageSet
from bregtutorial.data.load import load_dataset
from bregtutorial.data.loader import Loader
from bregtutorial.data.resized import Resized

__all__ = ["Corrupted", "ImageSet", "Loader", "Resized", "load_dataset"]
