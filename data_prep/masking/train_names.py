"""Train the model of names that ships, or measure it by cross-validation.

    python -m data_prep.masking.train_names --data ../shared/data
    python -m data_prep.masking.train_names --data ../shared/data --folds

Deterministic: the same data give the same weights.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy
from numpy.typing import NDArray

from data_prep.compiled import compiled
from data_prep.masking.lexicon import IS_NAME, IS_PLACE, ODDS_STEPS, Lexicon, key_of
from data_prep.masking.name_chain import (
    BEGIN,
    FORBIDDEN,
    INSIDE,
    LABELS,
    OUTSIDE,
    Floats,
)
from data_prep.masking.name_features import hash_features, templates
from data_prep.masking.name_gate import FEATURES, SLOTS, read_stretches
from data_prep.masking.name_model import WEIGHTS_FILE, NameModel, NameWeights
from data_prep.masking.name_words import WordReader, Words, surfaces_of
from data_prep.masking.names import SURNAMES
from data_prep.quality import corpora

FOLDS = 5
CLASSES = (64, 256, 1024)
VECTOR = 100
NEIGHBOURS = 4000
MIN_WORD = 3
"""Times a word must be seen to get a class."""
MIN_FEATURE = 2
PENALTY = 1.0
ROUNDS, MEAN_OF = 12, 4
FIRST_STEP = 0.02
SWAPPED_IMPORTANCE = 0.2
MIN_ODDS = 0.5
OFFICIAL_SIDES = frozenset(range(2, 10))
"""Of the bills; the others measure what is falsely found."""
GATE_PENALTY = 1e-6
GATE_ROUNDS = 8
OFFICIAL_TEXTS = 2500
GATE_TEXTS = 45_000
KEPT_FEATURES = 260_000


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of KLUE-NER and where its persons stand."""

    text: str
    persons: tuple[tuple[int, int], ...]
    importance: float = 1.0


def read_persons(data: Path) -> list[Sentence]:
    """The sentences of KLUE-NER in order."""
    sentences: list[Sentence] = []
    characters: list[str] = []
    tags: list[str] = []
    lines = (data / "klue" / "klue-ner-v1.1_dev_first3500.tsv").read_text(encoding="utf-8").split("\n")
    for line in [*lines, "## klue-ner"]:
        if line.startswith("## klue-ner"):
            if characters:
                sentences.append(Sentence("".join(characters), tuple(_persons(tags))))
            characters, tags = [], []
        elif "\t" in line and not line.startswith("## "):
            character, tag = line.rsplit("\t", 1)
            characters.append(character)
            tags.append(tag)
    return sentences


def main() -> None:
    """Train and write the model, or train on all folds but one and measure on that."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the corpora (see weights/NOTICE)")
    arguments.add_argument("--folds", action="store_true", help="measure by cross-validation; nothing is written")
    options = arguments.parse_args()
    sentences = read_persons(options.data)
    lexicon = build_lexicon(options.data)
    if options.folds:
        results = [measure_fold(sentences, fold, lexicon) for fold in range(FOLDS)]
        print(json.dumps({"folds": results, "f1": sum(one["f1"] for one in results) / FOLDS}))
        return
    weights = train(sentences, lexicon)
    gate = train_gate_on(options.data, sentences, NameModel(weights, lexicon))
    write(WEIGHTS_FILE, weights, lexicon, gate)


def train(sentences: Sequence[Sentence], lexicon: Lexicon) -> NameWeights:
    """The model's weights, from sentences and copies of them with other names."""
    return train_weights(
        read_examples([*sentences, *with_other_names(sentences)], WordReader(lexicon), lexicon.columns)
    )


def measure_fold(sentences: Sequence[Sentence], fold: int, lexicon: Lexicon) -> dict[str, float]:
    """Exact spans of every FOLDS-th sentence, found by a model of the others."""
    weights = train([one for number, one in enumerate(sentences) if number % FOLDS != fold], lexicon)
    held = sentences[fold::FOLDS]
    found = NameModel(weights, lexicon).find([one.text for one in held])
    right = sum(
        len(set(one.persons) & {(name.start, name.end) for name in names})
        for one, names in zip(held, found, strict=True)
    )
    precision, recall = right / sum(map(len, found)), right / sum(len(one.persons) for one in held)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


def with_other_names(sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """Copies in which Korean names of three syllables are others: frequent surnames, given names of the sentences."""
    random = Random(0)  # noqa: S311 - training data
    korean = re.compile(f"[{SURNAMES}][가-힣]{{2}}")
    written = [one.text[start:end] for one in sentences for start, end in one.persons]
    written = [name for name in written if korean.fullmatch(name)]
    for one in sentences:
        others = {
            one.text[start:end]: random.choice(written)[0] + random.choice(written)[1:]
            for start, end in one.persons
            if korean.fullmatch(one.text[start:end])
        }
        if not others:
            continue
        text, persons, at = "", [], 0
        for start, end in one.persons:
            name = one.text[start:end]
            text += one.text[at:start]
            persons.append((len(text), len(text) + len(others.get(name, name))))
            text += others.get(name, name)
            at = end
        yield Sentence(text + one.text[at:], tuple(persons), SWAPPED_IMPORTANCE)


def general_texts(data: Path) -> Iterator[str]:
    """News titles, comments, small talk, encyclopedia and everyday sentences."""
    for part in ("train", "dev"):
        yield from _lines(data / "korean-hate-speech" / f"{part}.news_title.txt")
        yield from (comment.text for comment in corpora.read_beep(data, part))
    for question, answer in corpora.read_chatbot(data):
        yield question
        yield answer
    yield from corpora.read_plain_sentences(data)
    yield from corpora.read_inference_sentences(data)
    for pair in json.loads((data / "klue" / "klue-sts-v1.1_dev.json").read_text(encoding="utf-8")):
        yield pair["sentence1"]
        yield pair["sentence2"]
    for line in _lines(data / "klue" / "klue-dp-v1.1_dev.tsv"):
        if line.startswith("## klue-dp"):
            yield line.partition("\t")[2]
    for name in ("sts-train", "sts-dev", "sts-test", "xnli.dev.ko", "xnli.test.ko"):
        for line in _lines(data / "kor-nlu" / f"{name}.tsv"):
            yield from (cell for cell in line.split("\t") if re.search("[가-힣]{2}.* ", cell))
    yield from corpora.read_utterances(data)
    for name in ("train", "test", "validation"):
        for line in _lines(data / "question-pair" / f"{name}.txt"):
            yield from line.split("\t")
    yield from (text for text, _ in corpora.read_curses(data))


def official_texts(data: Path) -> list[str]:
    """Bills, without those that measure what is falsely found."""
    return [text for text in corpora.read_bills(data) if corpora.side_of(text) in OFFICIAL_SIDES][:OFFICIAL_TEXTS]


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def train_gate_on(data: Path, sentences: Sequence[Sentence], model: NameModel) -> NDArray[numpy.float32]:
    """A gate that lets through the persons of the sentences and what the model finds in other texts."""
    random = Random(0)  # noqa: S311 - training data
    official = [piece for text in official_texts(data) for piece in re.split(r"(?<=\.)\s+", text)]
    others = random.sample(sorted(set(general_texts(data))), GATE_TEXTS)
    names = [[(name.start, name.end) for name in found] for found in model.find([*official, *others])]
    return train_gate(
        [*official, *others, *(one.text for one in sentences)],
        [*names, *(one.persons for one in sentences)],
    )


def write(path: Path, weights: NameWeights, lexicon: Lexicon, gate: NDArray[numpy.float32]) -> None:
    """The features that weigh most, rounded to a byte; keys as gaps in ascending order."""
    strength = numpy.abs(weights.weights).max(axis=1)
    kept = numpy.sort(numpy.argsort(-strength, kind="stable")[:KEPT_FEATURES])
    scale = float(numpy.quantile(strength, 0.9999)) / 127
    gate_scale = float(numpy.abs(gate).max()) / 127
    path.parent.mkdir(exist_ok=True)
    numpy.savez_compressed(
        path,
        allow_pickle=False,
        keys=numpy.diff(weights.keys[kept], prepend=numpy.uint32(0)),
        weights=numpy.clip(numpy.round(weights.weights[kept, 1:] / scale), -127, 127).astype(numpy.int8),
        scales=numpy.array([scale, gate_scale]),
        transitions=weights.transitions,
        words=numpy.diff(lexicon.keys, prepend=numpy.uint32(0)),
        classes=lexicon.classes,
        marks=lexicon.marks,
        odds=lexicon.odds,
        gate=numpy.round(gate / gate_scale).astype(numpy.int8),
    )


def _persons(tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    place = 0
    while place < len(tags):
        end = place + 1
        if tags[place] == "B-PS":
            while end < len(tags) and tags[end] == "I-PS":
                end += 1
            yield place, end
        place = end


def train_weights(examples: "Examples") -> NameWeights:
    """Maximise the likelihood of the labels by stochastic gradient descent with an L2 penalty; the mean of the last rounds."""
    keys, features, counts = numpy.unique(examples.hashes.ravel(), return_inverse=True, return_counts=True)
    kept = counts >= MIN_FEATURE
    numbers = numpy.where(kept, numpy.cumsum(kept) - 1, -1).astype(numpy.int32)
    rows = numpy.ascontiguousarray(numbers[features].reshape(examples.hashes.shape))
    keys = keys[kept]
    forbidden = numpy.zeros((LABELS + 1, LABELS))
    forbidden[[OUTSIDE, LABELS], INSIDE] = FORBIDDEN
    weights, transitions = numpy.zeros((len(keys), LABELS)), numpy.zeros((LABELS + 1, LABELS))
    mean_weights, mean_transitions = numpy.zeros_like(weights), numpy.zeros_like(transitions)
    decay = PENALTY / float(examples.importance.sum())
    state = numpy.array([1.0, 1 / (decay * FIRST_STEP)])
    random = numpy.random.default_rng(0)
    for round_ in range(ROUNDS):
        order = random.permutation(len(examples.importance))
        descend(
            rows,
            examples.labels,
            examples.starts,
            examples.importance,
            order,
            forbidden,
            decay,
            weights,
            transitions,
            state,
        )
        if round_ >= ROUNDS - MEAN_OF:
            mean_weights += weights * state[0] / MEAN_OF
            mean_transitions += transitions / MEAN_OF
    # only differences between labels matter
    mean_weights -= mean_weights[:, [OUTSIDE]]
    return NameWeights(keys, mean_weights.astype(numpy.float32), mean_transitions + forbidden)


@compiled("i4[][]", "i8[]", "i8[]", "f8[]", "i8[]", "f8[][]", "f8", "f8[][]!", "f8[][]!", "f8[]!")
def descend(
    rows: NDArray[numpy.int32],
    gold: NDArray[numpy.int64],
    starts: NDArray[numpy.int64],
    importance: Floats,
    order: NDArray[numpy.int64],
    forbidden: Floats,
    decay: float,
    weights: Floats,
    transitions: Floats,
    state: Floats,
) -> None:
    """One round over the texts in this order, a step after each.

    The weights are `state[0]` times what stands in `weights`; `state[1]` counts steps from that of the first step's size.
    """
    labels = weights.shape[1]
    for text in order:
        first, size = starts[text], starts[text + 1] - starts[text]
        state[1] += 1
        step = 1 / (decay * state[1])
        if size == 0:
            continue
        own = numpy.zeros((size, labels))
        for word in range(size):
            for place in range(rows.shape[1]):
                row = rows[first + word, place]
                if row >= 0:
                    for label in range(labels):
                        own[word, label] += weights[row, label] * state[0]
            top = own[word].max()
            for label in range(labels):
                own[word, label] = numpy.exp(own[word, label] - top)
        passing = numpy.exp(transitions + forbidden)
        forward, backward = numpy.zeros((size, labels)), numpy.ones((size, labels))
        scale = numpy.zeros(size)
        for word in range(size):
            for label in range(labels):
                reached = passing[labels, label]
                if word > 0:
                    reached = 0.0
                    for before in range(labels):
                        reached += forward[word - 1, before] * passing[before, label]
                forward[word, label] = reached * own[word, label]
                scale[word] += forward[word, label]
            for label in range(labels):
                forward[word, label] /= scale[word]
        for word in range(size - 2, -1, -1):
            for label in range(labels):
                reached = 0.0
                for behind in range(labels):
                    reached += passing[label, behind] * own[word + 1, behind] * backward[word + 1, behind]
                backward[word, label] = reached / scale[word + 1]
        shrunk = 1 - step * decay
        state[0] *= shrunk
        moved = step * importance[text]
        expected = numpy.zeros_like(transitions)
        for word in range(size):
            greatest = 0.0
            difference = numpy.zeros(labels)
            for label in range(labels):
                share = forward[word, label] * backward[word, label]
                difference[label] = share - (1.0 if gold[first + word] == label else 0.0)
                greatest = max(greatest, abs(difference[label]))
                if word == 0:
                    expected[labels, label] += share
                else:
                    arriving = own[word, label] * backward[word, label] / scale[word]
                    for before in range(labels):
                        expected[before, label] += forward[word - 1, before] * passing[before, label] * arriving
            expected[labels if word == 0 else gold[first + word - 1], gold[first + word]] -= 1
            if greatest < 1e-4:
                continue
            for place in range(rows.shape[1]):
                row = rows[first + word, place]
                if row >= 0:
                    for label in range(labels):
                        weights[row, label] -= moved / state[0] * difference[label]
        for before in range(labels + 1):
            for label in range(labels):
                transitions[before, label] = transitions[before, label] * shrunk - moved * expected[before, label]


@dataclass(frozen=True, slots=True)
class Examples:
    """Texts as the trainer reads them."""

    hashes: NDArray[numpy.uint32]
    """(words, templates)"""
    starts: NDArray[numpy.int64]
    labels: NDArray[numpy.int64]
    importance: NDArray[numpy.float64]
    """Of each text."""


def read_examples(sentences: Sequence[Sentence], reader: WordReader, columns: int) -> Examples:
    """Sentences whose persons are known. A word that a person covers in part is none."""
    words = [reader.read(sentence.text) for sentence in sentences]
    starts = numpy.cumsum([0, *(len(one.starts) for one in words)], dtype=numpy.int64)
    hashes = hash_words(words, starts, columns)
    labels = numpy.full(len(hashes), OUTSIDE)
    for one, first, sentence in zip(words, starts.tolist(), sentences, strict=False):
        for start, end in sentence.persons:
            inside = [
                place for place in range(len(one.starts)) if one.starts[place] >= start and one.ends[place] <= end
            ]
            for order, place in enumerate(inside):
                labels[first + place] = INSIDE if order else BEGIN
    return Examples(hashes, starts, labels, numpy.array([sentence.importance for sentence in sentences]))


def hash_words(words: Sequence[Words], starts: NDArray[numpy.int64], columns: int) -> NDArray[numpy.uint32]:
    """(words, templates)"""
    every = templates(columns)
    hashes = numpy.zeros((int(starts[-1]), len(every)), dtype=numpy.uint32)
    hash_features(numpy.concatenate([one.numbers for one in words]), starts, every, hashes)
    return hashes


def build_lexicon(data: Path) -> Lexicon:
    """Words of unlabelled texts in classes by the words they stand among, dictionaries, and what sounds official."""
    general = [surfaces_of(text) for text in dict.fromkeys(general_texts(data)) if text]
    offices = [surfaces_of(text) for text in official_texts(data)]
    classes = _classes([*general, *offices])
    odds = _odds(offices, general)
    names, places = _dictionary(data, "PS"), _dictionary(data, "LC")
    known = {}
    for word in sorted({*classes, *names, *places, *(word for word, odd in odds.items() if abs(odd) > MIN_ODDS)}):
        mark = (IS_NAME if word in names else 0) | (IS_PLACE if word in places else 0)
        odd = round(odds.get(word, 0.0) * ODDS_STEPS)
        known[key_of(word)] = classes.get(word, (0,) * len(CLASSES)), mark, odd
    keys = sorted(known)
    return Lexicon(
        numpy.array(keys, dtype=numpy.uint32),
        numpy.array([known[key][0] for key in keys], dtype=numpy.uint16),
        numpy.array([known[key][1] for key in keys], dtype=numpy.uint8),
        numpy.array([known[key][2] for key in keys], dtype=numpy.int8),
    )


def _dictionary(data: Path, kind: str) -> frozenset[str]:
    lines = (data / "entity-dic" / f"ner_dic.song.{kind}.tsv").read_text(encoding="utf-8").split("\n")
    return frozenset(line.strip() for line in lines if line.strip())


def _odds(official: Iterable[Sequence[str]], general: Iterable[Sequence[str]]) -> dict[str, float]:
    """Logarithm of how much likelier a word is in official texts than in others."""
    ours = Counter(word for words in official for word in words)
    others = Counter(word for words in general for word in words)
    our_size, other_size = ours.total(), others.total()
    return {
        word: float(
            numpy.clip(numpy.log((ours[word] + 0.5) / our_size) - numpy.log((others[word] + 0.5) / other_size), -3, 3)
        )
        for word in {**ours, **others}
        if ours[word] + others[word] >= MIN_WORD
    }


def _classes(texts: Sequence[Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """Classes of words seen often enough: k-means over the leading directions of what stands two words around them."""
    import scipy.sparse
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.utils.extmath import randomized_svd

    counts = Counter(word for words in texts for word in words)
    vocabulary = [word for word, count in counts.items() if count >= MIN_WORD]
    rows_of = {word: row for row, word in enumerate(vocabulary)}
    columns_of = {word: column for column, (word, _) in enumerate(counts.most_common(NEIGHBOURS))}
    width = NEIGHBOURS + 2
    rows: list[int] = []
    columns: list[int] = []
    for words in texts:
        known = [columns_of.get(word, -1) for word in words]
        padded = [-1, NEIGHBOURS, *known, NEIGHBOURS + 1, -1]
        for place, word in enumerate(words):
            row = rows_of.get(word)
            if row is None:
                continue
            for side, away in enumerate((0, 1, 3, 4)):
                column = padded[place + away]
                if column >= 0:
                    rows.append(row)
                    columns.append(column + side * width)
    together = scipy.sparse.coo_matrix(
        (numpy.ones(len(rows)), (rows, columns)), shape=(len(vocabulary), 4 * width)
    ).tocsr()
    together.sum_duplicates()
    cells = together.tocoo()
    by_row = numpy.asarray(together.sum(axis=1)).ravel()
    by_column = numpy.asarray(together.sum(axis=0)).ravel() ** 0.75
    by_column /= by_column.sum()
    shares = numpy.log(cells.data / by_row[cells.row] / numpy.maximum(by_column[cells.col], 1e-12))
    # few meetings prove little
    weighed = numpy.maximum(shares, 0) * numpy.minimum(1, 0.3 + 0.7 * numpy.sqrt(cells.data / 5))
    matrix = scipy.sparse.csr_matrix((weighed, (cells.row, cells.col)), shape=together.shape)
    left, strengths, _ = randomized_svd(matrix, VECTOR, random_state=0, n_iter=3)
    vectors = left * numpy.sqrt(strengths)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True) + 1e-6
    grouped = [
        MiniBatchKMeans(size, random_state=0, batch_size=4096, n_init=1, max_iter=40).fit(vectors).labels_ + 1
        for size in CLASSES
    ]
    return dict(zip(vocabulary, zip(*(labels.tolist() for labels in grouped), strict=True), strict=True))


def train_gate(texts: Sequence[str], names: Sequence[Sequence[tuple[int, int]]]) -> NDArray[numpy.float32]:
    """Weights of stretches that are a part of a name or in which one begins."""
    import scipy.sparse
    from sklearn.linear_model import SGDClassifier

    starts, slots = read_stretches(texts)
    begins = numpy.cumsum([0, *(len(text) + 1 for text in texts)])
    wanted = numpy.zeros(int(begins[-1]), dtype=bool)
    for begin, of_text in zip(begins.tolist(), names, strict=False):
        for start, end in of_text:
            wanted[begin + start : begin + end] = True
    sought = wanted[starts]
    for number in numpy.flatnonzero(~sought):
        # a name may begin inside a stretch
        end = starts[number + 1] if number + 1 < len(starts) else len(wanted)
        sought[number] = bool(wanted[starts[number] : min(end, starts[number] + 8)].any())
    matrix = scipy.sparse.csr_matrix(
        (numpy.ones(slots.size, dtype=numpy.float32), slots.ravel(), numpy.arange(len(slots) + 1) * FEATURES),
        shape=(len(slots), SLOTS),
    )

    model = SGDClassifier("log_loss", alpha=GATE_PENALTY, max_iter=GATE_ROUNDS, tol=None, average=True, random_state=0)
    model.fit(matrix, sought)
    weights: NDArray[numpy.float32] = (model.coef_[0] + float(model.intercept_[0]) / FEATURES).astype(numpy.float32)
    return weights


if __name__ == "__main__":
    main()
