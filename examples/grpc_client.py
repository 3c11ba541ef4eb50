"""Queries a model in TensorFlow Serving over gRPC.

    python examples/grpc_client.py --server=localhost:8500 --model=sentence --text=服务很好

Only requires the packages tensorflow and tensorflow-serving-api, not ambert-tf.
"""

import argparse
from collections.abc import Mapping, Sequence

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def predict(
    server: str, model: str, inputs: Mapping[str, Sequence[object]], signature: str = "serving_default"
) -> dict[str, np.ndarray]:
    """Returns the outputs of a signature by name.

    Args:
      server: host and port.
      model: name of the served model.
      inputs: lists of equal length by input name.
      signature: name of the signature. Models for sequence labelling need "padded" (see docs/sequence-labelling.md).
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(list(values)))
    with grpc.insecure_channel(server) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = service.Predict(request, timeout=30)
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", action="append", required=True)
    arguments = parser.parse_args()
    outputs = predict(arguments.server, arguments.model, {"text": arguments.text})
    for text, label, probabilities in zip(arguments.text, outputs["label"], outputs["probabilities"], strict=True):
        print(f"{text}\t{label.decode()}\t{probabilities.max():.3f}")


if __name__ == "__main__":
    main()
