"""A gRPC server on loopback, for tests of clients."""

from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc


@contextmanager
def grpc_server(service) -> Iterator[str]:
    """Serve a prediction service on a free port; yields the address."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)
