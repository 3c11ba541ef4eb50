"""The example client, with a service that implements TensorFlow Serving's API and runs an export."""

import importlib.util
import pathlib
from concurrent import futures

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.serving.models import export, model_directory

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "grpc_client.py"


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`Predict` of a SavedModel."""

    def __init__(self, directory):
        self.model = tf.saved_model.load(directory)

    def Predict(self, request, context):
        signature = self.model.signatures[request.model_spec.signature_name]
        inputs = {name: tf.constant(tf.make_ndarray(tensor)) for name, tensor in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in signature(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def test_the_client_returns_the_outputs_of_the_model(tmp_path):
    spec = importlib.util.spec_from_file_location("grpc_client", EXAMPLE)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    export(model_directory("sentence"), str(tmp_path / "1"))
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service = Service(str(tmp_path / "1"))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = client.predict(f"127.0.0.1:{port}", "sentence", {"text": ["中国人民", "好"]})
    finally:
        server.stop(None)
    expected = service.model.signatures["serving_default"](text=tf.constant(["中国人民", "好"]))
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-6)
    assert found["label"].tolist() == expected["label"].numpy().tolist()
