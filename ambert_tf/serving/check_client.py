"""Runs a SavedModel with only tensorflow and tensorflow_text. `check` starts this program.

    python -I check_client.py SAVED_MODEL REQUEST.json RESULT.json
"""

import json
import statistics
import sys
import time

# Makes importing these fail. Keras would import the others if they are installed, which takes two seconds.
for absent in ("ambert_tf", "matplotlib", "pandas", "sklearn"):
    sys.modules[absent] = None  # type: ignore[assignment]

import tensorflow as tf  # noqa: E402
import tensorflow_text  # noqa: E402, F401

BATCH_SIZE = 32


def main(saved_model: str, request_file: str, result_file: str) -> None:
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    started = time.perf_counter()
    signature = tf.saved_model.load(saved_model).signatures[request["signature"]]
    load_seconds = time.perf_counter() - started
    dtypes = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
    columns = request["columns"]
    count = min(map(len, columns.values()))

    def ask(rows):
        return signature(
            **{name: tf.constant([column[row] for row in rows], dtypes[name]) for name, column in columns.items()}
        )

    def plain(values):
        if isinstance(values, list):
            return [plain(value) for value in values]
        return values.decode("utf-8", "replace") if isinstance(values, bytes) else values

    starts = range(0, count, BATCH_SIZE)
    parts = [ask(range(start, min(start + BATCH_SIZE, count))) for start in starts] or [ask([])]
    result = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        if isinstance(first, tf.RaggedTensor):
            result["count"] = [length for value in values for length in value.row_lengths().numpy().tolist()]
            values = [value.flat_values for value in values]
        result[name] = [row for value in values for row in plain(value.numpy().tolist())]
    seconds = {}
    for size in request["latency_batches"]:
        batches = [[(run * size + row) % count for row in range(size)] for run in range(request["latency_runs"])]
        for batch in batches:
            ask(batch)
        times = []
        for batch in batches:
            started = time.perf_counter()
            ask(batch)
            times.append(time.perf_counter() - started)
        seconds[size] = statistics.median(times)
    with open("/proc/self/status", encoding="utf-8") as file:
        memory = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    found = {"result": result, "load_seconds": load_seconds, "seconds": seconds, "memory_mb": memory / 1024}
    with open(result_file, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
