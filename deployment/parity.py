"""The two sides of a model compared: what was trained, and what is served."""

from collections.abc import Iterator, Sequence

from contracts.enums import ParityForm
from contracts.parity import ParityCheck, ParitySample, ParityTolerance, TokenDifference, TrainerSide
from contracts.record import Record

LIKELY = -4.6
"""Log probability of 1 %: rarer tokens are small differences of large numbers and decide no answer."""
TIES_SHOWN = 20

TOLERANCES = {
    "float32": ParityTolerance(
        log_probability=0.002,
        reason="24 bits of mantissa: kernels that add in another order were seen 0.00001 apart, an adapter that is not "
        "applied or scaled otherwise is 0.1 and more apart",
    ),
    "float16": ParityTolerance(
        log_probability=0.06, reason="11 bits of mantissa: a logit of 20 is rounded by 0.01, at every layer anew"
    ),
    "bfloat16": ParityTolerance(
        log_probability=0.35, reason="8 bits of mantissa: a logit of 20 is rounded by 0.06, at every layer anew"
    ),
}
QUANTISED_TOLERANCE = ParityTolerance(
    log_probability=0.5,
    reason="the trainer's side computes with the unpacked weights in 32 bits and rounds activations as the scheme says; "
    "the kernels for few bits compute in bfloat16, so that an activation may fall on the neighbouring grid point",
)


class Comparison(Record):
    """What comparing found."""

    checks: list[ParityCheck]
    largest_logprob_difference: float | None
    first_difference: TokenDifference | None
    ties: list[TokenDifference]


def tolerance_for(form: ParityForm, dtype: str) -> ParityTolerance:
    """How far the sides may be apart."""
    return QUANTISED_TOLERANCE if form is ParityForm.QUANTISED else TOLERANCES.get(dtype, TOLERANCES["bfloat16"])


def compare(
    trainer: TrainerSide,
    server: Sequence[ParitySample],
    server_specials: dict[str, list[int]] | None,
    tolerance: float,
) -> Comparison:
    """Prompt, special tokens, continuation, end of turn and log probabilities, each told apart."""
    prompts = _Differences(_compared_prompts(trainer, server))
    told = sum(sample.prompt_ids is not None for sample in server)
    tokens = sum(len(sample.token_ids) for sample in server)
    continuation = list(_compared_continuations(trainer, server))
    beyond = _Differences(found for found in continuation if (found.logprob_gap or 0.0) > tolerance)
    ties = [found for found in continuation if (found.logprob_gap or 0.0) <= tolerance]
    ends = _Differences(_compared_ends(trainer, server, tolerance))
    gaps = list(_logprob_gaps(trainer, server))
    largest = max((gap for gap, _ in gaps), default=None)
    apart = _Differences(found for gap, found in gaps if gap > tolerance)
    checks = [
        ParityCheck(
            name="prompt_ids",
            passed=None if not told else not prompts.found,
            compared=told,
            detail="the engine does not tell the rendered prompt's tokens" if not told else prompts.detail("prompts"),
        ),
        _special_tokens(trainer, server_specials),
        ParityCheck(
            name="continuation",
            passed=not beyond.found,
            compared=tokens,
            detail=f"{beyond.detail('tokens')}, {len(ties)} ties",
        ),
        ParityCheck(name="end_of_turn", passed=not ends.found, compared=len(server), detail=ends.detail("answers")),
        ParityCheck(
            name="top_logprobs",
            passed=None if not gaps else not apart.found,
            compared=len(gaps),
            detail="the engine does not tell log probabilities"
            if largest is None
            else f"at most {largest:.2g} apart, allowed {tolerance:g}",
        ),
    ]
    first = next((group.found[0] for group in (prompts, beyond, ends, apart) if group.found), None)
    return Comparison(checks=checks, largest_logprob_difference=largest, first_difference=first, ties=ties[:TIES_SHOWN])


class _Differences:
    def __init__(self, found: Iterator[TokenDifference]) -> None:
        self.found = list(found)

    def detail(self, things: str) -> str:
        return f"{len(self.found)} {things} differ" if self.found else f"no {things} differ"


def _difference(
    trainer: TrainerSide,
    server: Sequence[ParitySample],
    prompt: int,
    position: int,
    trainer_id: int | None,
    server_id: int | None,
    gap: float | None = None,
) -> TokenDifference:
    def text(token: int | None) -> str:
        return "" if token is None else trainer.texts.get(token, f"<{token}>")

    return TokenDifference(
        prompt=prompt,
        question=server[prompt].messages[-1]["content"],
        position=position,
        trainer_token=text(trainer_id),
        trainer_id=trainer_id,
        server_token=text(server_id),
        server_id=server_id,
        logprob_gap=gap,
    )


def _compared_prompts(trainer: TrainerSide, server: Sequence[ParitySample]) -> Iterator[TokenDifference]:
    """The first differing token of each prompt that differs."""
    for number, (own, theirs) in enumerate(zip(trainer.samples, server, strict=True)):
        if theirs.prompt_ids is None or own.prompt_ids == theirs.prompt_ids:
            continue
        for place in range(max(len(own.prompt_ids), len(theirs.prompt_ids))):
            pair = [ids[place] if place < len(ids) else None for ids in (own.prompt_ids, theirs.prompt_ids)]
            if pair[0] != pair[1]:
                yield _difference(trainer, server, number, place, pair[0], pair[1])
                break


def _compared_continuations(trainer: TrainerSide, server: Sequence[ParitySample]) -> Iterator[TokenDifference]:
    """Every token of the server that is not the trainer's likeliest after what the server had said until then."""
    for number, (own, theirs) in enumerate(zip(trainer.samples, server, strict=True)):
        for place, token in enumerate(theirs.token_ids):
            if own.best_ids[place] != token:
                gap = own.best_logprobs[place] - own.own_logprobs[place]
                yield _difference(trainer, server, number, place, own.best_ids[place], token, gap)


def _compared_ends(trainer: TrainerSide, server: Sequence[ParitySample], tolerance: float) -> Iterator[TokenDifference]:
    """Answers that end where the trainer's would go on, and those that go on after an end-of-turn token."""
    ends = set(trainer.end_ids)
    for number, (own, theirs) in enumerate(zip(trainer.samples, server, strict=True)):
        for place, token in enumerate(theirs.token_ids[:-1]):
            if token in ends:
                yield _difference(trainer, server, number, place + 1, None, theirs.token_ids[place + 1])
                break
        last = theirs.token_ids[-1] if theirs.token_ids else None
        place = len(theirs.token_ids)
        if not theirs.ended:
            if last in ends:
                yield _difference(trainer, server, number, place, None, None)
        elif last not in ends and own.best_ids[place] not in ends:
            gap = own.best_logprobs[place] - max(own.top_logprobs[place].values(), default=float("-inf"))
            if gap > tolerance:
                yield _difference(trainer, server, number, place, own.best_ids[place], None, gap)


def _logprob_gaps(trainer: TrainerSide, server: Sequence[ParitySample]) -> Iterator[tuple[float, TokenDifference]]:
    """Distance of the two sides' log probabilities of each token that either thinks likely."""
    for number, (own, theirs) in enumerate(zip(trainer.samples, server, strict=True)):
        for place, top in enumerate(theirs.top_logprobs):
            for token, logprob in top.items():
                trained = own.top_logprobs[place][token]
                if max(trained, logprob) >= LIKELY:
                    gap = abs(trained - logprob)
                    yield gap, _difference(trainer, server, number, place, token, token, gap)


def _special_tokens(trainer: TrainerSide, server: dict[str, list[int]] | None) -> ParityCheck:
    if server is None:
        return ParityCheck(
            name="special_tokens", passed=None, compared=0, detail="the engine does not tell how it reads a text"
        )
    wrong = [
        f"{text}: trainer {number}, server {server.get(text)}"
        for text, number in trainer.special_tokens.items()
        if server.get(text) != [number]
    ]
    return ParityCheck(
        name="special_tokens",
        passed=not wrong,
        compared=len(trainer.special_tokens),
        detail="; ".join(wrong[:5]) or "every one is one token with the same number",
    )
