"""Drawn scenes with exact masks and boxes: shapes and real handwritten digits over real photographs, from a seed.

composing.py  scene: figures placed on a backdrop, what covers what, masks and boxes
shapes.py     shapes as signed distances             paint.py    colours, patterns, light and shadow
sources.py    photographs and digits of scikit-learn folder.py   write_scenes, write_boxed_scenes: datasets
"""

from pellucid.scenes.composing import CLASSES, Instance, Scene, scene
from pellucid.scenes.folder import write_boxed_scenes, write_scenes

__all__ = ["CLASSES", "Instance", "Scene", "scene", "write_boxed_scenes", "write_scenes"]
