"""The self-test of an ONNX file as a script for those who have onnxruntime and NumPy, but not pellucid."""

__all__ = ["SCRIPT"]

SCRIPT = '''\
"""Self-test of a file exported by pellucid: python selftest.py FILE.onnx. Needs onnxruntime and numpy alone."""
import base64, json, sys, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
facts = json.loads(session.get_modelmeta().custom_metadata_map["pellucid"].split(" ", 1)[1])
bounds, worst = facts["selftest"]["bounds"], 0.0  # differences as shares of what is allowed
for case in facts["selftest"]["cases"]:
    (n, y, x, c), seed = np.ogrid[: case["images"], : case["height"], : case["width"], :3], case["seed"]
    images = ((y*y*(seed+2) + x*x*(seed+5) + x*y*(c+1) + 64*c + 31*n) // 16 % 256).astype(np.uint8)
    inputs = {name: np.array(value, np.float32) for name, value in case["inputs"].items()}
    found = dict(zip([one.name for one in session.get_outputs()], session.run(None, {"images": images, **inputs})))
    for at, photo in enumerate(case["expected"]):
        want = {k: np.frombuffer(base64.b64decode(v["data"]), v["dtype"]).reshape(v["shape"]) for k, v in photo.items()}
        got, gap = {name: found[name][at] for name in found}, 0.0
        count = got.get("count", 0)
        if "probs" in want:
            gap = abs(want["probs"] - got["probs"]).max() / bounds["probs"]
        elif "xyxy" not in want:
            gap = (want["labels"] != got["labels"]).mean() / bounds["pixels"]
        elif len(want["scores"]) != count:
            gap = np.inf
        elif count:  # each box against its nearest in the other
            gaps = abs(want["xyxy"][:, None] - got["xyxy"][:count]).max(2) / bounds["boxes"]
            gaps = np.maximum(gaps, abs(want["scores"][:, None] - got["scores"][:count]) / bounds["scores"])
            gaps[want["labels"][:, None] != got["labels"][:count]] = np.inf
            gap = max(gaps.min(1).max(), gaps.min(0).max())
        worst = max(worst, gap)
print(f"worst difference: {worst:.2g} of what is allowed:", "ok" if worst <= 1 else "REFUSED")
sys.exit(not worst <= 1)
'''
