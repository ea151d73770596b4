"""Writes golden/prompted anew: python scripts/golden/prompted.py (tokenizers 0.23, pyarrow 25; no TensorFlow).

The TFRecord files come from the few lines below, which know nothing of the Java reader: framing
with masked CRC-32C, tf.train.Example by hand.
"""
import json
import pathlib
import struct

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parents[2] / "golden" / "prompted"


# tokenizer.json of T5's structure: unigram pieces, <pad> 0, </s> 1, <unk> 2, sentinels last and backwards
def tokenizer():
    text = [
        "Is this review positive or negative? It was a great film, well acted and well told.",
        "Question: which of the two sentences follows? Answer with yes, no or maybe.",
        "The premise says that the man is sleeping. Does it follow that he is awake?",
        "Summarise the article in one sentence, then name the town where it happened.",
        "Pick the better ending: he opened the door, or he closed the window.",
        "negative positive maybe yes no entailment contradiction neutral true false",
    ]
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    t.decoder = decoders.Metaspace(prepend_scheme="always")
    special = ["<pad>", "</s>", "<unk>"]
    t.train_from_iterator(
        text, trainers.UnigramTrainer(vocab_size=180, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    t.add_special_tokens([AddedToken(f"<extra_id_{i}>", normalized=False, special=True) for i in reversed(range(4))])
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    t.save(str(HERE / "tokenizer" / "tokenizer.json"))
    config = {
        "tokenizer_class": "T5Tokenizer", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>",
        "extra_ids": 4, "model_max_length": 512,
    }
    (HERE / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    said = ["Is this positive?", "yes", "<NO LABEL>", "two  spaces\nand a line", "fill <extra_id_0> in", "é ü 日", ""]
    ids = [{"text": s, "ids": t.encode(s, add_special_tokens=False).ids} for s in said]
    (HERE / "tokenizer" / "expected.json").write_text(json.dumps(ids, ensure_ascii=False, indent=1) + "\n")


# TFRecord
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((((crc >> 15) | (crc << 17)) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(values, packed=True):
    if isinstance(values[0], (str, bytes)):
        return field(1, b"".join(field(1, v.encode() if isinstance(v, str) else v) for v in values))
    if isinstance(values[0], float):
        if packed:
            return field(2, field(1, b"".join(struct.pack("<f", v) for v in values)))
        return field(2, b"".join(b"\x0d" + struct.pack("<f", v) for v in values))
    if packed:
        return field(3, field(1, b"".join(varint(v) for v in values)))
    return field(3, b"".join(b"\x08" + varint(v) for v in values))


def example(fields, packed=True):
    entries = [field(1, field(1, k.encode()) + field(2, feature(v, packed))) for k, v in fields.items()]
    return field(1, b"".join(entries))


def cached(task, split, examples, shards, packed=True):
    folder = HERE / "cache" / task
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        own = examples[shard::shards]
        (folder / f"{split}.tfrecord-{shard:05d}-of-{shards:05d}").write_bytes(
            b"".join(record(example(e, packed)) for e in own)
        )
    features = {k: {"shape": [None], "dtype": "int32" if isinstance(v[0], int) else "string"} for k, v in examples[0].items()}
    (folder / f"info.{split}.json").write_text(json.dumps({"num_shards": shards, "features": features}) + "\n")
    (folder / f"stats.{split}.json").write_text(json.dumps({"examples": len(examples)}) + "\n")


def caches():
    train = [
        {
            "inputs": [10 + i, 20, 30 + i], "targets": [40 + i, 1],
            "inputs_pretokenized": [f"question {i}"], "targets_pretokenized": [f" answer {i} "],
        }
        for i in range(37)
    ]
    cached("tiny_copy_first", "train", train, 2)
    cached("tiny_copy_second", "train", [{k: e[k] for k in ("inputs", "targets")} for e in train[:5]], 1, packed=False)
    score = [
        {
            "idx": [e, c], "inputs": [5 + e, 6], "targets": [7 + c, 1], "inputs_pretokenized": [f"which {e}"],
            "targets_pretokenized": ["AB"[c]], "is_correct": [int(c == e % 2)], "weight": [1.0],
        }
        for e in range(3) for c in range(2)
    ]
    cached("tiny_pick_score_eval", "validation", score, 1)


# Parquet: texts, ids, lists; three codecs, two row groups
def tables():
    rows = [
        {
            "inputs": f"Is film {i} positive?", "targets": ["negative", "positive"][i % 2],
            "answer_choices": ["negative", "positive"], "unrelated": i,
        }
        for i in range(7)
    ]
    texts = pa.Table.from_pylist(rows)
    for codec in ("snappy", "zstd", "gzip", "none"):
        pq.write_table(texts, HERE / f"texts.{codec}.parquet", compression=codec, row_group_size=4)
    ids = pa.table({
        "inputs": pa.array([[3, 4, 5], [6], None], pa.list_(pa.int32())),
        "targets": pa.array([[7, 1], [8, 9, 1], [5, 1]], pa.list_(pa.int64())),
        "inputs_pretokenized": pa.array(["a b c", "d", None]),
        "weight": pa.array([1.0, 1.0, 0.5], pa.float32()),
        "is_correct": pa.array([True, False, True]),
        "idx": pa.array([[0, 0], [0, 1], [1, 0]], pa.list_(pa.int32())),
    })
    pq.write_table(ids, HERE / "ids.parquet")
    pq.write_table(pa.table({"inputs": [1.5, 2.5], "targets": ["a", "b"]}), HERE / "wrong_type.parquet")


(HERE / "tokenizer").mkdir(parents=True, exist_ok=True)
tokenizer()
caches()
tables()
