"""A trained network as a file that runs without pellucid.

exporting.py  the whole way: build, compare, write   base.py   AbstractExporter: one file a form, each ends in EXPORTERS
judging.py    network and file on the same images    facts.py  what a file says of itself
deployable.py normalisation, network, decoding: what every form holds
onnx_exporter.py: onnx_graph.py (the whole graph)  photo_way.py  result_way.py (its ends)  terms.py (arithmetic as nodes)
"""
