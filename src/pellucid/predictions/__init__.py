"""What a network's decoded outputs say of a photo: arrays in, predictions out, without torch.

base.py      AbstractPrediction, AbstractPostprocess
predictor.py AbstractPredictor: photos in, predictions out
views.py     large photos in overlapping parts   merging.py  boxes of several views, each object once
classify.py  segment.py  detect.py: one file a task, each ends in POSTPROCESSES
"""
