from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.random import Generator, Philox

from federated.canonical import digest, encode
from federated.errors import SpecError, TensorError
from federated.families import FAMILIES
from federated.models import initial_parameters, parameter_schema, update_schema
from federated.networks import logits, probabilities, to_torch, varied
from federated.schema import Array, Schema
from federated.spec import Choice, Feature, Label, StudySpec
from federated.state import decode_state, encode_state, initial_state, state_digest
from federated.studies import wisconsin_spec


def image_study(spec: StudySpec, shape: tuple[int, ...] = (9, 8)) -> StudySpec:
    picture = Feature("scan", "1", 0.0, 255.0, shape)
    return replace(
        spec,
        data=replace(spec.data, features=(picture,)),
        model=Choice("cnn", {"channels": [2, 3], "kernel": 3, "hidden": 5}),
    )


def residual(spec: StudySpec, shape: tuple[int, ...] = (9, 8)) -> StudySpec:
    model = Choice("resnet", {"channels": [4, 6], "blocks": 1})
    return replace(image_study(spec, shape), model=model)


def with_settings(study: StudySpec, **settings: object) -> StudySpec:
    return replace(study, model=Choice(study.model.name, {**study.model.config, **settings}))


def test_each_family_has_its_tensors(spec: StudySpec) -> None:
    def shapes(study: StudySpec) -> dict[str, tuple[int, ...]]:
        return {tensor.name: tensor.shape for tensor in parameter_schema(study).tensors}

    assert shapes(spec) == {"out.bias": (1,), "out.weight": (1, 2)}
    assert shapes(replace(spec, model=Choice("mlp", {"hidden": [4, 3]}))) == {
        "dense0.bias": (4,),
        "dense0.weight": (4, 2),
        "dense1.bias": (3,),
        "dense1.weight": (3, 4),
        "out.bias": (1,),
        "out.weight": (1, 3),
    }
    assert shapes(image_study(spec)) == {
        "conv0.bias": (2,),
        "conv0.weight": (2, 1, 3, 3),
        "conv1.bias": (3,),
        "conv1.weight": (3, 2, 3, 3),
        "dense0.bias": (5,),
        "dense0.weight": (5, 3 * 2 * 2),
        "out.bias": (1,),
        "out.weight": (1, 5),
    }


def test_each_family_turns_inputs_into_probabilities(spec: StudySpec) -> None:
    for study, width in (
        (spec, 2),
        (replace(spec, model=Choice("mlp", {"hidden": [4]})), 2),
        (replace(spec, model=Choice("mlp", {"hidden": [4], "normalise": "layer"})), 2),
        (image_study(spec), 72),
        (image_study(spec, shape=(3, 9, 8)), 216),
        (residual(spec), 72),
        (residual(spec, shape=(3, 9, 8)), 216),
    ):
        inputs = np.random.default_rng(3).normal(size=(7, width)).astype(np.float32)
        chances = probabilities(initial_parameters(study), inputs, study)
        assert chances.shape == (7,)
        assert ((chances > 0) & (chances < 1)).all()
        assert len(np.unique(chances)) == 7
        assert probabilities(initial_parameters(study), inputs[:0], study).shape == (0,)


def test_a_logistic_model_computes_the_logistic_function(spec: StudySpec) -> None:
    parameters = {
        "out.weight": np.array([[2.0, -1.0]], dtype=np.float32),
        "out.bias": np.array([0.5], dtype=np.float32),
    }
    inputs = np.array([[1.0, 3.0]], dtype=np.float32)
    assert probabilities(parameters, inputs, spec)[0] == pytest.approx(1 / (1 + np.exp(0.5)))


def test_a_standardising_network_does_not_see_a_machines_exposure(spec: StudySpec) -> None:
    plain = image_study(spec)
    study = replace(plain, model=Choice("cnn", {**plain.model.config, "standardise": True}))
    assert parameter_schema(study) == parameter_schema(plain)
    scans = np.random.default_rng(3).normal(size=(5, 72)).astype(np.float32)
    brighter = (scans * 1.7 + 0.6).astype(np.float32)
    parameters = initial_parameters(study)
    seen = probabilities(parameters, scans, study)
    assert probabilities(parameters, brighter, study) == pytest.approx(seen, abs=1e-5)
    assert probabilities(parameters, brighter, plain) != pytest.approx(seen, abs=1e-5)
    assert np.isfinite(probabilities(parameters, np.full_like(scans, 0.5), study)).all()


def test_groups_and_an_average_are_layers_of_their_own(spec: StudySpec) -> None:
    study = with_settings(image_study(spec), channels=[2, 4], groups=2, average=True)
    del study.model.config["hidden"]
    assert {tensor.name: tensor.shape for tensor in parameter_schema(study).tensors} == {
        "conv0.bias": (2,),
        "conv0.weight": (2, 1, 3, 3),
        "conv1.bias": (4,),
        "conv1.weight": (4, 2, 3, 3),
        "norm0.bias": (2,),
        "norm0.gain": (2,),
        "norm1.bias": (4,),
        "norm1.gain": (4,),
        "out.bias": (1,),
        "out.weight": (1, 4),
    }
    scans = np.random.default_rng(3).normal(size=(5, 72)).astype(np.float32)
    parameters = initial_parameters(study)
    assert (parameters["norm0.gain"] == 0).all()  # kept as its distance from 1
    chances = probabilities(parameters, scans, study)
    assert len(np.unique(chances)) == 5
    louder = {**parameters, "conv0.weight": parameters["conv0.weight"] * np.float32(3)}
    assert probabilities(louder, scans, study) == pytest.approx(chances, abs=1e-3)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("standardise", 1, r"standardise.*true or false"),
        ("standardise", None, r"standardise.*true or false"),
        ("average", "yes", r"average.*true or false"),
        ("groups", 0, r"groups.*whole number"),
        ("groups", 2.0, r"groups.*whole number"),
        ("groups", 2, r"groups.*divides every size"),
        ("kernel", 4, r"kernel.*odd"),
        ("kernel", True, r"kernel.*whole number"),
        ("hidden", -1, r"hidden.*whole number"),
        ("channels", [1] * 7, r"channels.*1 to 6"),
        ("channels", [1, 1, 1, 1], r"channels.*too small"),
        ("vary", True, r"vary.*a table of"),
        ("vary", {"shift": 1}, r"vary.*a table of"),
        ("vary", {"shift": 1, "zoom": 0, "exposure": "1"}, r"vary\.exposure.*a number"),
        ("vary", {"shift": 1, "zoom": float("nan"), "exposure": 0}, r"vary\.zoom.*a number"),
        ("vary", {"shift": 1e9, "zoom": 0, "exposure": 0}, r"vary\.shift.*a number"),
        ("vary", {"shift": -1, "zoom": 0, "exposure": 0}, r"vary\.shift.*a number"),
        ("layers", 3, r"layers.*unknown setting"),
        ("normalise", "group", r"normalise.*batch is expected"),
        ("normalise", ["batch"], r"normalise.*batch is expected"),
    ],
)
def test_a_setting_that_no_network_can_have_is_refused_by_name(
    spec: StudySpec, key: str, value: object, problem: str
) -> None:
    with pytest.raises(SpecError, match=rf"model\.config\.{problem}"):
        parameter_schema(with_settings(image_study(spec), **{key: value}))


def convolved(weight: Array, images: Array, stride: int) -> Array:
    """One convolution, sum by sum.  # (n, before, h, w) → (n, after, ⌈h / stride⌉, ⌈w / stride⌉)"""
    edge = weight.shape[-1] // 2
    padded = np.pad(images, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    high, wide = (-(-side // stride) for side in images.shape[2:])
    found = np.zeros((len(images), len(weight), high, wide))
    for row, column in itertools.product(range(high), range(wide)):
        top, left = row * stride, column * stride
        part = padded[:, :, top : top + 2 * edge + 1, left : left + 2 * edge + 1]
        found[:, :, row, column] = np.einsum("ncij,acij->na", part, weight)
    return found


def normalised(values: Array, groups: int, gain: Array, bias: Array) -> Array:
    parts = values.reshape(len(values), groups, -1)
    centred = parts - parts.mean(axis=2, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)
    return scaled.reshape(values.shape) * (1 + gain[:, None, None]) + bias[:, None, None]


def test_a_residual_network_computes_what_its_page_says(spec: StudySpec) -> None:
    """A first convolution, a block that keeps the shape, one that halves it; two groups."""
    study, source = residual(spec), np.random.default_rng(3)
    tensors = {
        name: source.normal(size=array.shape, scale=0.4).astype(np.float32)
        for name, array in initial_parameters(study).items()
    }
    scans = source.normal(size=(3, 72)).astype(np.float32)

    def layer(conv: str, norm: str, values: Array, stride: int = 1) -> Array:
        found = convolved(tensors[f"{conv}.weight"], values, stride)
        return normalised(found, 2, tensors[f"{norm}.gain"], tensors[f"{norm}.bias"])

    values = np.maximum(layer("conv", "norm", scans.reshape(3, 1, 9, 8)), 0)
    for block, stride in (("stage0.block0", 1), ("stage1.block0", 2)):
        inner = np.maximum(layer(f"{block}.conv0", f"{block}.norm0", values, stride), 0)
        inner = layer(f"{block}.conv1", f"{block}.norm1", inner)
        if stride == 2:
            values = layer(f"{block}.conv2", f"{block}.norm2", values, 2)
        values = np.maximum(inner + values, 0)
    odds = values.mean(axis=(2, 3)) @ tensors["out.weight"].T + tensors["out.bias"]
    chances = 1 / (1 + np.exp(-odds[:, 0]))
    assert probabilities(tensors, scans, study) == pytest.approx(chances, abs=1e-5)
    assert set(tensors) == {tensor.name for tensor in parameter_schema(study).tensors}


def test_batches_are_normalised_by_running_tensors_but_in_training(spec: StudySpec) -> None:
    study = replace(spec, model=Choice("mlp", {"hidden": [1], "normalise": "batch"}))
    tensors = to_torch(initial_parameters(study))
    tensors["dense0.weight"][:] = torch.tensor([0.0, 1.0])
    tensors["out.weight"][:] = 1
    doses = torch.tensor([[0.0, 3.0], [0.0, -1.0]])
    outside = logits(tensors, doses, study)
    assert outside.tolist() == [pytest.approx(3.0, abs=1e-4), 0.0]  # mean 0 and variance 1 still
    assert tensors["norm0.mean"].item() == 0
    inside = logits(tensors, doses, study, training=True)
    assert inside.tolist() == [pytest.approx(1.0, abs=1e-4), 0.0]
    assert tensors["norm0.mean"].item() == pytest.approx(0.1)
    assert tensors["norm0.variance"].item() == pytest.approx(0.9 + 0.1 * 8)


def test_a_model_of_several_outputs_gives_a_row_of_each(spec: StudySpec) -> None:
    label = Label("outcome", classes=("none", "mild", "severe"))
    classes = replace(spec, task="multiclass", data=replace(spec.data, label=label))
    families = {
        "logistic": (classes, {}),
        "mlp": (classes, {"hidden": [4]}),
        "cnn": (image_study(classes), {"channels": [2], "kernel": 3}),
        "resnet": (image_study(classes), {"channels": [2], "blocks": 1}),
    }
    assert set(families) == set(FAMILIES)
    for name, (study, config) in families.items():
        study = replace(study, model=Choice(name, config))
        shapes = {tensor.name: tensor.shape for tensor in parameter_schema(study).tensors}
        assert shapes["out.bias"] == (3,)
        width = 72 if study.data.features[0].shape else 2
        found = logits(to_torch(initial_parameters(study)), torch.ones(5, width), study)
        assert found.shape == (5, 3)


def test_tensors_and_first_parameters_need_no_torch() -> None:
    program = (
        "import sys; from federated.families import FAMILIES;"
        "from federated.models import initial_parameters, update_schema;"
        "from federated.studies import wisconsin_spec;"
        "spec = wisconsin_spec(); initial_parameters(spec), update_schema(spec);"
        "print([FAMILIES['resnet'].shapes({'channels': [4], 'blocks': 2}, (8, 8), 3)] and"
        "'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert found.stdout == b"False\n"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("channels", [], r"channels.*1 to 6"),
        ("channels", [4] * 5, r"channels.*too small"),
        ("blocks", 0, r"blocks.*whole number"),
        ("blocks", 17, r"blocks.*whole number"),
        ("groups", 4, r"groups.*divides every size"),
        ("normalise", "layer", r"normalise.*batch is expected"),
        ("vary", True, r"vary.*a table of"),
        ("kernel", 3, r"kernel.*unknown setting"),
    ],
)
def test_a_setting_that_no_residual_network_can_have_is_refused_by_name(
    spec: StudySpec, key: str, value: object, problem: str
) -> None:
    with pytest.raises(SpecError, match=rf"model\.config\.{problem}"):
        parameter_schema(with_settings(residual(spec), **{key: value}))


def test_groups_beside_batches_are_refused(spec: StudySpec) -> None:
    for study in (with_settings(image_study(spec), channels=[2, 4]), residual(spec)):
        with pytest.raises(SpecError, match=r"model\.config\.groups: batch normalisation has none"):
            parameter_schema(with_settings(study, groups=2, normalise="batch"))


def test_a_table_is_no_image(spec: StudySpec) -> None:
    for name in ("cnn", "resnet"):
        config = {"channels": [2], "kernel": 3} if name == "cnn" else {"channels": [2], "blocks": 1}
        with pytest.raises(SpecError, match=r"model\.name: images need exactly one feature"):
            parameter_schema(replace(spec, model=Choice(name, config)))


def test_images_vary_in_training_alone_and_by_its_generator(spec: StudySpec) -> None:
    plain = image_study(spec)
    study = with_settings(plain, vary={"shift": 1, "zoom": 0.1, "exposure": 0.5})
    source = np.random.default_rng(3)
    scans = torch.from_numpy(source.uniform(-2, 2, size=(5, 72)).astype(np.float32))
    first = varied(scans, study, Generator(Philox(key=1)))
    assert (first == varied(scans, study, Generator(Philox(key=1)))).all()
    assert (first != varied(scans, study, Generator(Philox(key=2)))).any()
    assert first.shape == scans.shape
    assert first.abs().max() <= 2
    assert (varied(scans, plain, Generator(Philox(key=1))) == scans).all()
    seen = probabilities(initial_parameters(study), scans.numpy(), study)
    assert (seen == probabilities(initial_parameters(plain), scans.numpy(), plain)).all()


def test_images_that_vary_by_nothing_stay_as_they_are(spec: StudySpec) -> None:
    study = with_settings(image_study(spec), vary={"shift": 0, "zoom": 0, "exposure": 0})
    source = np.random.default_rng(3)
    scans = torch.from_numpy(source.uniform(-2, 2, size=(5, 72)).astype(np.float32))
    assert torch.allclose(varied(scans, study, Generator(Philox(key=1))), scans, atol=1e-5)


def test_initial_parameters_depend_on_the_seed_and_on_nothing_else(spec: StudySpec) -> None:
    np.random.default_rng(5).normal()
    first, again = initial_parameters(spec), initial_parameters(spec)
    other = initial_parameters(replace(spec, seed=2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["out.weight"] != other["out.weight"]).all()
    assert (np.abs(first["out.weight"]) <= 1 / np.sqrt(2)).all()
    assert (first["out.bias"] == 0).all()


def test_the_first_state_of_the_wisconsin_study_has_the_same_digest_on_every_machine() -> None:
    logistic, mlp = wisconsin_spec(seed=1), wisconsin_spec(seed=1, family="mlp")
    assert state_digest(logistic, initial_state(logistic)).hex() == LOGISTIC
    assert state_digest(mlp, initial_state(mlp)).hex() == MLP


def test_a_schema_orders_names_and_flattens_and_back() -> None:
    schema = Schema.of("F32", {"b": (2,), "a": (1, 3)})
    assert [tensor.name for tensor in schema.tensors] == ["a", "b"]
    parameters = {"b": np.array([4.0, 5.0]), "a": np.array([[1.0, 2.0, 3.0]])}
    assert schema.flatten(parameters).tolist() == [1, 2, 3, 4, 5]
    back = schema.unflatten(schema.flatten(parameters))
    assert all((back[name] == parameters[name]).all() for name in parameters)
    assert schema.digest() != schema.with_dtype("I32").digest()


def test_an_update_is_int32_where_the_bound_fits_and_int64_elsewhere(spec: StudySpec) -> None:
    assert update_schema(spec).dtype == "I32"
    fine = replace(spec, grid=replace(spec.grid, clip_norm=2.0, grid_bits=30, max_weight=1))
    assert update_schema(fine).dtype == "I64"  # B = 2³¹


def test_a_state_survives_bytes_and_its_digest_names_round_and_parameters(spec: StudySpec) -> None:
    state = initial_state(spec)
    back = decode_state(spec, encode_state(spec, state))
    assert state_digest(spec, back) == state_digest(spec, state)
    assert state_digest(spec, replace(state, round_number=1)) != state_digest(spec, state)
    moved = {**state.parameters, "out.bias": np.array([1e-30], dtype=np.float32)}
    assert state_digest(spec, replace(state, parameters=moved)) != state_digest(spec, state)


def test_a_state_digest_can_be_computed_by_hand(spec: StudySpec) -> None:
    state = initial_state(spec)
    tensors = {
        tensor.name: state.parameters[tensor.name] for tensor in parameter_schema(spec).tensors
    }
    header = (
        b'{"out.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"out.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}'
    )
    header += b" " * (-len(header) % 8)
    file = len(header).to_bytes(8, "little") + header
    file += tensors["out.bias"].tobytes() + tensors["out.weight"].tobytes()
    content = {"format": "consilium/state/1", "round": 0, "parameters": digest(file), "server": {}}
    assert state_digest(spec, state) == digest(encode(content))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "consilium/model/2"},
        {"round": "1"},
        {"round": True},
        {"extra": 1},
        {"parameters": b""},
        {"server": {"momentum": b""}},
        {"server": []},
    ],
)
def test_a_model_file_that_is_not_of_the_study_is_refused(
    spec: StudySpec, change: dict[str, object]
) -> None:
    from federated.canonical import decode

    tree = decode(encode_state(spec, initial_state(spec)))
    with pytest.raises(TensorError):
        decode_state(spec, encode({**tree, **change}))


LOGISTIC = "418904b3e965e03d0de00b46e229b8a95bc700bce89210636e516db8552887a0"
MLP = "5c363b5a8fb7c9792394792dddd277b75ce22d25c6d4f986147f644f09c5621f"
