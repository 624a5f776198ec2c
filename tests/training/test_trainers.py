"""What trainers make of `taskloom dataset`: datasets loads each set offline, TRL takes the rows for conversations, and its trainers do a step
with a model of some thousand random weights. Rows as such are tested in tests/read_back/test_dataset.py."""

import json
import os
import pathlib
import random
import subprocess

import pytest

# No network, no graphics card.
os.environ |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}

PROGRAM = pathlib.Path(os.environ["TASKLOOM_BIN"]).resolve()
MODELS = ["alpha", "beta", "gamma"]
SPECIAL = ["<pad>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def taskloom(*arguments):
    subprocess.run([PROGRAM, *map(str, arguments)], check=True, capture_output=True)


def turn(draw, number):
    messages = [{"role": "system", "content": {"text": "Be brief"}}] if number == 0 else []
    messages.append({"role": "user", "content": {"text": f"Question {draw.randrange(10**6)}", "reference_texts": [{"content": "42"}]}})
    for model in draw.sample(MODELS, 2):
        reasoning = [{"content": "hm"}] if draw.random() < 0.5 else []
        messages.append({
            "role": "assistant", "model_parameters": {"model": model},
            "content": {"text": f"Answer {draw.randrange(10**6)}", "reasoning": reasoning},
            "annotations": [
                {"key": "quality", "type": "integer", "value": draw.randrange(1, 6), "justification": "so"},
                {"key": "is_harmful", "type": "boolean", "value": draw.random() < 0.3},
            ],
        })  # fmt: skip
    best = draw.choice(messages[-2:])["model_parameters"]["model"]
    return {"id": str(number), "messages": messages, "annotations": [{"key": "selected_model_id", "type": "category", "value": best}]}


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("lake"), random.Random(1)
    with (folder / "tasks.ndjson").open("w", encoding="utf-8") as file:
        for number in range(60):
            turns = [turn(draw, place) for place in range(draw.choice([1, 2]))]
            task = {"task_id": f"task-{number}", "status": "completed", "threads": [{"id": "thread", "turns": turns}]}
            file.write(json.dumps(task) + "\n")
    taskloom("flatten", folder / "tasks.ndjson", "--out", folder / "lake", "--quiet")
    return folder / "lake"


# What is asked for, by method.
FLAGS = {
    "sft": ["--by", "selected_model_id", "--reasoning", "keep"],
    "dpo": ["--by", "selected_model_id", "--reasoning", "keep"],
    "reward": ["--by", "quality", "--better", "higher"],
    "kto": ["--by", "is_harmful", "--better", "lower"],
    "grpo": [],
}


@pytest.fixture(scope="session")
def loaded(lake, tmp_path_factory):
    """Loads a set as its reader does."""
    import datasets

    def load(method, layout="trl"):
        folder = tmp_path_factory.mktemp(f"{method}-{layout}")
        taskloom("dataset", lake, "--for", method, "--layout", layout, "--out", folder / "set", "--split", "0.2", *flags(method, layout))
        before = sorted(path.name for path in (folder / "set").iterdir())
        sets = datasets.load_dataset(str(folder / "set"), cache_dir=str(folder / "cache"))
        assert sorted(path.name for path in (folder / "set").iterdir()) == before
        return folder / "set", sets

    return load


def flags(method, layout):
    return [flag for flag in FLAGS[method] if layout == "trl" or flag not in {"--reasoning", "keep"}]


@pytest.mark.parametrize(
    ("layout", "method"),
    [("trl", method) for method in FLAGS]
    + [("axolotl", method) for method in ["sft", "dpo"]]
    + [("llamafactory", method) for method in ["sft", "dpo", "reward", "kto"]]
    + [("openai", method) for method in ["sft", "dpo", "grpo"]],
)
def test_datasets_loads_every_layout(loaded, layout, method):
    folder, sets = loaded(method, layout)
    report = json.loads((folder / "taskloom.json").read_text(encoding="utf-8"))["report"]
    assert {name: rows.num_rows for name, rows in sets.items()} == {"train": report["train_rows"], "test": report["test_rows"]}
    assert sets["train"].column_names == sets["test"].column_names
    assert sets["train"].num_rows > sets["test"].num_rows > 0


# One red pixel.
IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


def test_images_are_images(tmp_path):
    import datasets

    def task(name, *attachments):
        messages = [{"role": "user", "content": {"text": name, "attachments": list(attachments)}}, {"role": "assistant", "content": {"text": "red"}}]
        return {"task_id": name, "status": "completed", "threads": [{"id": "t", "turns": [{"id": "u", "messages": messages}]}]}

    image, address = {"mime_type": "image/png", "name": "red.png", "content": IMAGE}, {"mime_type": "image/png", "url": "https://example.com/a"}
    text = {"mime_type": "text/plain", "content": "aGk="}
    tasks = [task("one", image), task("two", image, image), task("none"), task("gone", address), task("text", text), task("partly", image, text)]
    later = task("later", image)
    later["threads"][0]["turns"].insert(0, {"id": "0", "messages": [{"role": "user", "content": {"text": "hi"}}, {"role": "assistant", "content": {"text": "ho"}}]})
    lines = "".join(json.dumps(task) + "\n" for task in [*tasks, later])
    (tmp_path / "tasks.ndjson").write_text(lines, encoding="utf-8")
    taskloom("flatten", tmp_path / "tasks.ndjson", "--out", tmp_path / "lake", "--quiet")
    taskloom("dataset", tmp_path / "lake", "--for", "sft", "--images", "--out", tmp_path / "set")
    rows = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))["train"]
    found = {row["source"]["task_id"]: [image.convert("RGB").getpixel((0, 0)) for image in row["images"]] for row in rows}
    # What stands in a later message would move before the first one, so its turn is left out.
    assert found == {"one": [(255, 0, 0)], "two": [(255, 0, 0)] * 2, "none": [], "later": []}
    assert [row["messages"][-1]["content"] for row in rows if row["source"]["task_id"] == "later"] == ["ho"]
    note = json.loads((tmp_path / "set" / "taskloom.json").read_text(encoding="utf-8"))
    assert note["report"]["left_out"] == {"attachment": 4}


@pytest.fixture(scope="session")
def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_alone = Tokenizer(models.BPE())
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_alone.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    bytes_alone.train_from_iterator(["Question Answer"], trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=bytes_alone, pad_token=SPECIAL[0], eos_token=SPECIAL[2], model_max_length=512)
    made.chat_template = TEMPLATE
    return made


@pytest.mark.parametrize("method", FLAGS)
def test_trl_takes_rows_for_conversations(loaded, tokenizer, method):
    from trl.data_utils import is_conversational, maybe_apply_chat_template

    _, sets = loaded(method)
    for row in sets["train"]:
        columns = {name: row[name] for name in ["messages", "prompt", "chosen", "rejected", "completion", "label"] if name in row}
        assert is_conversational(columns)
        applied = maybe_apply_chat_template(columns, tokenizer)
        texts = "".join(text for text in applied.values() if isinstance(text, str))
        for name, said in columns.items():
            if name != "label":
                assert all(line["content"] in texts for line in said), (name, said, applied)


def model_of(tokenizer, kind):
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=512, pad_token_id=tokenizer.pad_token_id, num_labels=1,
    )  # fmt: skip
    return getattr(transformers, kind)(config)


@pytest.mark.parametrize("method", ["sft", "dpo", "reward", "kto"])
def test_a_trainer_does_a_step(loaded, tokenizer, tmp_path, method):
    import trl

    name = {"sft": "SFT", "dpo": "DPO", "reward": "Reward", "kto": "KTO"}[method]
    _, sets = loaded(method)
    settings = getattr(trl, f"{name}Config")(
        output_dir=str(tmp_path), max_steps=1, per_device_train_batch_size=2, per_device_eval_batch_size=2, report_to="none", use_cpu=True,
        bf16=False, fp16=False, save_strategy="no", disable_tqdm=True, max_length=256,
    )  # fmt: skip
    kind = "LlamaForSequenceClassification" if method == "reward" else "LlamaForCausalLM"
    reference = {"ref_model": model_of(tokenizer, kind)} if method in {"dpo", "kto"} else {}
    trainer = getattr(trl, f"{name}Trainer")(
        model=model_of(tokenizer, kind), args=settings, train_dataset=sets["train"], eval_dataset=sets["test"], processing_class=tokenizer,
        **reference,
    )  # fmt: skip
    assert trainer.train().training_loss > 0
    assert trainer.state.global_step == 1
