"""What a service counts of itself, in the form that Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Measures"]

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32)


class Measures:
    """Requests by route and status, their seconds, those under way, batches and what the network took for them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("pellucid_requests", "Requests", ["route", "status"], registry=self._registry)
        self.seconds = self._histogram("pellucid_request_seconds", "Seconds a request took", SECONDS)
        self.inside = Gauge("pellucid_requests_inside", "Requests under way", registry=self._registry)
        self.batch = self._histogram("pellucid_batch_photos", "Photos a batch", SIZES)
        self.network = self._histogram("pellucid_network_seconds", "Seconds of the network, a batch", SECONDS)

    def _histogram(self, name: str, said: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, said, buckets=buckets, registry=self._registry)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
