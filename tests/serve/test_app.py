"""A service as its clients see it: predictions, tensors, refusals with their reasons."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.serve.served import Brightness, Dots, ask, png, serving

NASTY = Path(__file__).parents[3] / "shared" / "data" / "nasty"
INFER = "/v2/models/bright/infer"


@pytest.fixture(scope="module")
def port():
    with serving(receive=1.0, body=200_000, pixels=40_000) as port:
        yield port


def request(images: np.ndarray, **more) -> dict:
    tensor = {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": images.ravel().tolist()}
    return {"inputs": [tensor], **more}


def test_a_photo_is_answered_as_predict_says_it(port):
    found = ask(port, "/predict", png(255))
    assert found.status == 200
    assert found.json["model"] == "bright"
    assert found.json["prediction"]["label"] == "bright"
    assert found.json["prediction"]["probs"] == {"bright": 1.0, "dark": 0.0}


def test_metadata_and_health(port):
    assert ask(port, "/v2/health/live").json == {"live": True}
    assert ask(port, "/v2/health/ready").json == {"ready": True}
    assert ask(port, "/v2").json["extensions"] == ["binary_tensor_data"]
    about = ask(port, "/v2/models/bright").json
    assert about["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert about["outputs"] == [{"name": "probs", "datatype": "FP32", "shape": [-1, 2]}]
    assert ask(port, "/v2/models/bright/ready").status == 200
    assert ask(port, "/selfcheck").json == {"passed": True, "text": "well"}


def test_a_self_test_that_fails_is_no_success():
    with serving(selfcheck=lambda: (False, "a byte has changed")) as port:
        found = ask(port, "/selfcheck")
        assert (found.status, found.json["text"]) == (503, "a byte has changed")


def test_tensors_in_json(port):
    images = np.stack([np.full((4, 5, 3), value, np.uint8) for value in (0, 51, 255)])
    found = ask(port, INFER, json.dumps(request(images, id="7")).encode()).json
    (probs,) = found["outputs"]
    assert (found["id"], found["model_name"], probs["shape"], probs["datatype"]) == ("7", "bright", [3, 2], "FP32")
    np.testing.assert_allclose(np.reshape(probs["data"], (3, 2))[:, 1], [0, 0.2, 1], atol=1e-6)


def test_tensors_as_bytes(port):
    images = np.stack([np.full((4, 5, 3), value, np.uint8) for value in (0, 51)])
    tensor = {"name": "images", "shape": [2, 4, 5, 3], "datatype": "UINT8", "parameters": {"binary_data_size": 120}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    found = ask(port, INFER, head + images.tobytes(), Inference_Header_Content_Length=str(len(head)))
    end = int(found.headers["inference-header-content-length"])
    (probs,) = json.loads(found.body[:end])["outputs"]
    assert probs["parameters"] == {"binary_data_size": 16}
    np.testing.assert_allclose(np.frombuffer(found.body[end:], "<f4").reshape(2, 2)[:, 1], [0, 0.2], atol=1e-6)


def test_rows_of_boxes_are_filled_up():
    images = np.stack([np.full((8, 8, 3), value, np.uint8) for value in (1, 3, 0)])
    with serving(Dots()) as port:
        found = ask(port, INFER, json.dumps(request(images)).encode()).json["outputs"]
    values = {one["name"]: np.reshape(one["data"], one["shape"]) for one in found}
    assert values["count"].tolist() == [1, 3, 0]
    assert values["labels"].tolist() == [[0, -1, -1], [0, 0, 0], [-1, -1, -1]]
    assert values["xyxy"].shape == (3, 3, 4)
    assert (values["scores"][0] > 0).tolist() == [True, False, False]


IMAGES = np.zeros((1, 2, 2, 3), np.uint8)
WRONG = {
    "no JSON": b"{",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "no inputs": b"{}",
    "inputs no list": json.dumps({"inputs": 3}).encode(),
    "two inputs": json.dumps({"inputs": request(IMAGES)["inputs"] * 2}).encode(),
    "floats": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"datatype": "FP32"}]}).encode(),
    "shape": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"shape": [1, 2, 3, 3]}]}).encode(),
    "negative": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"shape": [-1, -2, 2, 3]}]}).encode(),
    "beyond 255": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"data": [256] * 12}]}).encode(),
    "ragged": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"data": [[1], [1, 2]]}]}).encode(),
    "text": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"data": ["a"] * 12}]}).encode(),
    "huge": json.dumps({"inputs": [request(IMAGES)["inputs"][0] | {"data": [10**30] * 12}]}).encode(),
    "output twice": json.dumps(request(IMAGES, outputs=[{"name": "probs"}] * 2)).encode(),
    "output": json.dumps(request(IMAGES, outputs=[{"name": "masks"}])).encode(),
    "size told": json.dumps(
        {
            "inputs": [
                {"name": "images", "shape": [1, 2, 2, 3], "datatype": "UINT8", "parameters": {"binary_data_size": 12}}
            ]
        }
    ).encode(),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_request_is_refused_with_a_reason(port, name):
    found = ask(port, INFER, WRONG[name])
    assert found.status == 400, found.body
    assert found.json["error"]


@pytest.mark.parametrize("length", ["x", "-1", "0", "999999", "²"])
def test_a_wrong_length_of_the_json_is_refused(port, length):
    found = ask(port, INFER, b"{}", Inference_Header_Content_Length=length.encode("utf-8").decode("latin-1"))
    assert found.status == 400


def test_another_model_route_or_method_is_refused(port):
    assert "no model 'other', but 'bright'" in ask(port, "/v2/models/other").json["error"]
    assert ask(port, "/v2/models/other/infer", b"{}").status == 404
    assert ask(port, "/nothing").json == {"error": "Not Found"}
    assert ask(port, "/predict").status == 405
    for path in ("/../etc/passwd", "/predict/../../x", "/v2/models/..%2f..%2fx", "//predict", "/%00"):
        assert ask(port, path).status in (404, 405)


def test_large_bodies_and_photos_are_refused(port):
    found = ask(port, "/predict", b"x" * 300_000)
    assert (found.status, found.json["error"]) == (
        413,
        "The body has 300,000 bytes or more; this service takes 200,000.",
    )
    assert "this service takes 40,000" in ask(port, "/predict", png(1, (300, 300))).json["error"]
    tensor = request(IMAGES)["inputs"][0] | {"shape": [1, 10_000, 10_000, 3], "data": []}
    assert ask(port, INFER, json.dumps({"inputs": [tensor]}).encode()).status == 413


def test_many_small_photos_are_refused(port):
    """Each would go through the network, and be as large there as any other."""
    images = np.zeros((65, 1, 1, 3), np.uint8)
    found = ask(port, INFER, json.dumps(request(images)).encode())
    assert (found.status, found.json["error"]) == (413, "`images` has 65 photos; this service takes 64 at once.")
    assert ask(port, INFER, json.dumps(request(images[:64])).encode()).status == 200


def test_a_body_without_a_length_is_cut_at_the_limit(port):
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(4):
            raw.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_a_slow_body_is_not_waited_for(port):
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        assert raw.recv(100).startswith(b"HTTP/1.1 408")


def test_headers_that_never_end_are_not_waited_for(monkeypatch):
    monkeypatch.setattr("pellucid.serve.server.HEADER_SECONDS", 1.0)
    with serving() as port, socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while b'{"live":true}' not in answer:  # head and body may come one after the other
            piece = raw.recv(1000)
            assert piece
            answer += piece
        raw.sendall(b"GET /v2 HTTP/1.1\r\nX-Slow")
        began = time.monotonic()
        assert raw.recv(100) == b""
        assert time.monotonic() - began < 10


def test_truncated_bodies_cost_nothing(port):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), 10) as raw:
            raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    assert ask(port, "/predict", png(0)).status == 200


def test_the_token_is_asked_for():
    with serving(token="a-token-of-some-length") as port:
        for given in ({}, {"Authorization": "Bearer a-token-of-some-lengt"}, {"Authorization": "Basic a"}):
            found = ask(port, "/predict", png(3), **given)
            assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer")
            assert ask(port, "/metrics", **given).status == 401
        assert ask(port, "/predict", png(3), Authorization="Bearer a-token-of-some-length").status == 200
        assert ask(port, "/v2/health/ready").status == 200


def test_a_foreign_host_is_refused():
    with serving(hosts=frozenset({"127.0.0.1:80"})) as port:
        assert ask(port, "/v2/health/live", Host="evil.example").status == 421
        assert ask(port, "/v2/health/live", Host="127.0.0.1:80").status == 200


def test_requests_at_once_go_through_together():
    predictor = Brightness(seconds=0.1)
    with serving(predictor, batch=8) as port, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda value: ask(port, "/predict", png(value)), range(0, 160, 10)))
        figures = ask(port, "/metrics").body.decode()
    values = [one.json["prediction"]["probs"]["bright"] for one in found]
    np.testing.assert_allclose(values, [value / 255 for value in range(0, 160, 10)], atol=1e-6)
    assert sum(predictor.batches) == 16
    assert 2 <= len(predictor.batches) < 10
    assert max(predictor.batches) <= 8
    assert 'pellucid_requests_total{route="/predict",status="200"} 16.0' in figures
    assert "pellucid_batch_photos_sum 16.0" in figures


def test_lanes_work_at_once_and_share_what_there_is():
    predictor = Brightness(seconds=0.5, lanes=2)
    with serving(predictor, batch=8, wait=0.2) as port, ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        found = list(pool.map(lambda value: ask(port, "/predict", png(value)), range(8)))
        taken = time.monotonic() - began
    assert {one.status for one in found} == {200}
    assert sum(predictor.batches) == 8
    assert max(predictor.batches) < 8  # or a lane has had nothing to do
    assert taken < 0.5 * len(predictor.batches)  # one after the other they take longer


def test_more_than_the_queue_holds_are_told_to_come_again():
    with serving(Brightness(seconds=0.3), queue=2, batch=1) as port, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda value: ask(port, "/predict", png(value)), range(8)))
    refused = [one for one in found if one.status == 429]
    assert len(refused) >= 4
    assert {one.status for one in found} == {200, 429}
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)


def test_an_answer_that_takes_too_long_is_given_up():
    with serving(Brightness(seconds=1.0), seconds=0.2) as port:
        found = ask(port, "/predict", png(1))
        assert (found.status, found.json["error"]) == (503, "No answer within 0.2 seconds.")
        assert found.headers["retry-after"] == "1"


def test_a_line_a_request():
    rows = []
    with serving(log=rows.append) as port:
        ask(port, "/predict", png(1))
        ask(port, "/predict", b"no image")
    assert [(row["route"], row["status"]) for row in rows] == [("/predict", 200), ("/predict", 422)]


@pytest.mark.skipif(not NASTY.is_dir(), reason="needs ../shared/data/nasty")
def test_nasty_files_are_answered_or_refused():
    files = sorted(path for path in NASTY.rglob("*") if path.is_file())
    with serving() as port:
        for path in files:
            found = ask(port, "/predict", path.read_bytes())
            assert found.status in (200, 413, 422), (path, found.body)
            assert found.status == 200 or found.json["error"]
        assert ask(port, "/predict", png(3)).status == 200


def test_clients_that_leave_do_not_hold_up_others():
    with serving(Brightness(seconds=0.05)) as port:

        def leave(_: int) -> None:
            with socket.create_connection(("127.0.0.1", port), 10) as raw:
                body = png(5)
                raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        threads = [threading.Thread(target=leave, args=(at,)) for at in range(30)]
        for thread in threads:
            thread.start()
        assert ask(port, "/predict", png(255)).json["prediction"]["label"] == "bright"
        for thread in threads:
            thread.join()
