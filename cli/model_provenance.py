"""What a model folder's signature and mark say, on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.enums import SignatureState, WatermarkVerdict

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.provenance import Provenance
    from contracts.watermark import MarkFound

SHOWN_FILES = 10


def show_provenance(found: Provenance, screen: Screen) -> None:
    """Signed, intact, whose; then the mark."""
    signature = found.signature
    tell = screen.done if signature.state is SignatureState.INTACT else screen.warn
    tell(
        f"model.signature_{signature.state.value}",
        signer=signature.signer or "",
        fingerprint=(signature.fingerprint or "")[:16],
        files=", ".join(signature.changed[:SHOWN_FILES]),
    )
    if found.mark is None:
        screen.say("model.mark_missing", why=found.mark_missing)
    else:
        show_mark(found.mark, screen)


def show_mark(found: MarkFound, screen: Screen, identity: str = "") -> None:
    """The verdict with z, and how often chance does as much."""
    tell = screen.done if found.verdict is WatermarkVerdict.DETECTED else screen.warn
    tell(
        f"model.mark_{found.verdict.value}",
        z=f"{found.z:.1f}",
        chance=f"10^{found.log10_chance:.0f}",
        keys=found.keys_tried,
        values=found.values,
    )
    if found.informed_z is not None:
        screen.say("model.mark_informed", z=f"{found.informed_z:.1f}")
    if identity and found.verdict is not WatermarkVerdict.NOT_DETECTED:
        screen.say("model.mark_identity", identity=identity)
