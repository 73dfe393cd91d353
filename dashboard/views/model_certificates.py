"""What vouches for a version: the parity certificate, the signature, the mark in its weights, its files."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from contracts.enums import SignatureState, WatermarkVerdict
from contracts.errors import TunewayError
from contracts.record import utc_now
from dashboard import parts, reading, writing
from dashboard.formats import NOTHING, duration, gigabytes, moment, number

if TYPE_CHECKING:
    from contracts.models import ModelVersion
    from contracts.parity import ParityCertificate, ParityCheck
    from contracts.provenance import ModelCheck, SignatureFound
    from contracts.watermark import MarkFound
    from dashboard.long_actions import LongAction
    from dashboard.reading import ModelStory
    from dashboard.texts import Words
    from dashboard.visits import Visit

_SIGNATURE_TONES = {
    SignatureState.INTACT: "succeeded",
    SignatureState.UNSIGNED: "waiting",
    SignatureState.UNKNOWN_SIGNER: "warning",
}
_MARK_TONES = {
    WatermarkVerdict.DETECTED: "succeeded",
    WatermarkVerdict.INCONCLUSIVE: "warning",
    WatermarkVerdict.NOT_DETECTED: "failed",
}
LISTED_FILES = 20
CHECK_SECONDS = 1.0


def show(visit: Visit, story: ModelStory, words: Words) -> None:
    """Draw the part."""
    model = story.listing.version
    st.subheader(words("certificates.parity"))
    st.caption(words("certificates.parity_caption"))
    if story.certificate is None:
        parts.missing(words("certificates.no_parity"))
    else:
        _parity(story.certificate, model, words)
    check = reading.last_model_check(visit, model.model_id)
    _check_button(visit, model.model_id, check, words)
    if check is None:
        return
    st.subheader(words("certificates.signature"))
    _signature(check.provenance.signature, words)
    st.subheader(words("certificates.watermark"))
    _mark(check.provenance.mark, check.provenance.mark_missing, words)
    st.subheader(words("certificates.files"))
    _files(check, words)


def _parity(certificate: ParityCertificate, model: ModelVersion, words: Words) -> None:
    is_valid = certificate.certifies(model.content_hash)
    if is_valid:
        badge = parts.badge(words("certificates.valid"), "succeeded")
    elif certificate.passed:
        badge = parts.badge(words("certificates.other_weights"), "warning")
    else:
        badge = parts.badge(words("certificates.failed"), "failed")
    parts.html(badge)
    parts.html(
        parts.figures(
            [
                (words("certificates.checked_at"), moment(certificate.checked_at, words.language)),
                (words("certificates.engine"), certificate.engine),
                (words("certificates.trainer"), certificate.trainer),
                (words("certificates.prompts"), number(certificate.prompts)),
                (words("certificates.tokens"), number(certificate.tokens)),
                (
                    words("certificates.largest_difference"),
                    NOTHING
                    if certificate.largest_logprob_difference is None
                    else f"{certificate.largest_logprob_difference:.3g}",
                    words("certificates.tolerance", n=f"{certificate.tolerance.log_probability:g}"),
                ),
            ]
        )
    )
    lines = [
        [
            escape(words.named("parity_check", found.name)),
            _verdict(found, words),
            number(found.compared),
            escape(found.detail),
        ]
        for found in certificate.checks
    ]
    header = [words(f"certificates.{name}") for name in ("check", "result", "compared", "detail")]
    parts.html(parts.rows(header, lines, numeric=[2]))
    if certificate.first_difference is not None:
        first = certificate.first_difference
        st.warning(
            words(
                "certificates.first_difference",
                question=parts.plain(first.question),
                trained=parts.plain(first.trainer_token),
                served=parts.plain(first.server_token),
            ),
            icon=":material/difference:",
        )
    st.caption(words("certificates.parity_renew"))


def _verdict(found: ParityCheck, words: Words) -> str:
    if found.passed is None:
        return parts.badge(words("certificates.not_compared"), "skipped")
    return parts.badge(
        words("certificates.same" if found.passed else "certificates.different"),
        "succeeded" if found.passed else "failed",
    )


def _check_button(visit: Visit, model_id: int, check: ModelCheck | None, words: Words) -> None:
    st.subheader(words("certificates.provenance"))
    if check is None:
        parts.missing(words("certificates.not_checked"))
    else:
        st.caption(
            words(
                "certificates.last_checked",
                at=parts.plain(moment(check.checked_at, words.language)),
                name=parts.plain(check.checked_by),
            )
        )
    if "verify" not in reading.model_outlook(visit, model_id).allowed:
        return
    looking = reading.model_check_action(visit, model_id)
    if looking is not None and not looking.is_over:
        _follow_check(looking, words)
        return
    if looking is not None and (failure := looking.failure()) is not None:
        parts.error_parts(failure.as_record(), words("certificates.check_failed"), words)
    st.caption(words("certificates.check_caption"))
    st.button(
        words("certificates.check_now"),
        key=f"verify-{model_id}",
        icon=":material/fact_check:",
        on_click=_begin_check,
        args=(visit, model_id),
    )
    parts.tell_refusal(words)


def _begin_check(visit: Visit, model_id: int) -> None:
    try:
        writing.check_model(visit, model_id)
    except TunewayError as error:
        parts.refuse(error)


def _follow_check(looking: LongAction, words: Words) -> None:
    def look() -> None:
        if looking.is_over:
            st.cache_data.clear()
            st.rerun()
        since = duration(utc_now() - looking.began_at, words)
        st.info(f"{words('certificates.checking')} ({since})", icon=":material/hourglass_top:")

    st.fragment(look, run_every=CHECK_SECONDS)()


def _signature(found: SignatureFound, words: Words) -> None:
    parts.html(parts.badge(words.of(found.state), _SIGNATURE_TONES.get(found.state, "failed")))
    if found.fingerprint is not None:
        parts.html(
            parts.figures(
                [
                    (words("certificates.signer"), found.signer or NOTHING),
                    (words("certificates.fingerprint"), found.fingerprint),
                ]
            )
        )
    if found.changed:
        st.markdown(words("certificates.changed_files", files=parts.plain(", ".join(found.changed[:LISTED_FILES]))))
    st.caption(words("certificates.signature_renew"))


def _mark(found: MarkFound | None, missing: str, words: Words) -> None:
    if found is None:
        parts.html(parts.badge(words("certificates.no_mark"), "skipped"))
        if missing:
            st.caption(parts.plain(missing))
    else:
        parts.html(parts.badge(words.of(found.verdict), _MARK_TONES[found.verdict]))
        parts.html(
            parts.figures(
                [
                    ("z", f"{found.z:.1f}"),
                    (words("certificates.chance"), f"10^{found.log10_chance:.0f}"),
                    (words("certificates.tensors"), number(found.tensors)),
                    (words("certificates.weights"), number(found.values)),
                ]
            )
        )
    st.caption(words("certificates.watermark_renew"))


def _files(check: ModelCheck, words: Words) -> None:
    files = check.files
    tone = "succeeded" if files.is_whole else "failed" if files.problems else "warning"
    parts.html(parts.badge(words("certificates.whole" if files.is_whole else "certificates.not_whole"), tone))
    st.caption(words("certificates.files_read", n=number(files.files), size=gigabytes(files.bytes_read)))
    if files.problems:
        lines = [
            [f"<code>{escape(found.path)}</code>", escape(words.named("file_problem", found.problem.replace(" ", "_")))]
            for found in files.problems[:LISTED_FILES]
        ]
        parts.html(parts.rows([words("certificates.file"), words("certificates.problem")], lines))
    if files.differences:
        lines = [
            [
                escape(f"{found.model_name} {found.version} · {found.part.value} {found.key}"),
                escape(found.postgresql or NOTHING),
                escape(found.mlflow or NOTHING),
            ]
            for found in files.differences[:LISTED_FILES]
        ]
        parts.html(parts.rows([words("certificates.registry"), "PostgreSQL", "MLflow"], lines))
    if files.mlflow_error is not None:
        st.caption(words("certificates.mlflow_away"))
    st.caption(words("certificates.files_renew"))
