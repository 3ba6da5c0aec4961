"""Exported files where they run: read with suspicion, verified, and run, without torch.

wire.py      an ONNX file's bytes, field by field     manifest.py   what a file says of itself, sealed with digests
onnx_file.py an ONNX file that may be run             selftest.py   images that are made anew, and what they must give
agreement.py how far two sets of results differ       verifying.py  all of it, for `pellucid verify`
script.py    the self-test for those without pellucid
"""
