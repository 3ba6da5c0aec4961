"""Exported files where they run: read with suspicion, verified, and run, without torch.

forms.py     what an exported file is                 wire.py       an ONNX file's bytes, field by field
onnx_file.py one that may be run                      onnx_part.py  its network alone
openvino_folder.py                                    manifest.py   what a file says of itself, sealed with digests
loading.py   file to predictor                        predictor.py  the same predictor as in training
engines.py   what runs a network                      measuring.py  which of them is the fastest here
selftest.py  images made anew, what they must give    agreement.py  how far two sets of results differ
verifying.py all of it, for `pellucid verify`         script.py     the self-test for those without pellucid
"""
