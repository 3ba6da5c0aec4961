"""A trained network as a file that runs without pellucid.

exporting.py  the whole way: build, compare, write    base.py   AbstractExporter: a file a form, each ends in EXPORTERS
judging.py    network and file on the same images     quantising.py  the network in int8
deployable.py normalisation, network, decoding: what every form holds
onnx_exporter.py  openvino_exporter.py                onnx_graph.py  the graph; its ends: photo_way.py  result_way.py
terms.py      arithmetic as nodes                     repository.py  the `.onnx` as a model of Triton and KServe
"""
