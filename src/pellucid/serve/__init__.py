"""A model file behind HTTP, without torch: photos in, predictions out.

app.py       routes              document.py  what they take and give (OpenAPI)
batching.py  requests in batches protocol.py  tensors of the Open Inference Protocol v2, as JSON and as bytes
limits.py    what is refused     measures.py  Prometheus
server.py    the process: sockets, deadlines, signals, logs
"""
