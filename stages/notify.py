"""Tell people: by the site's webhook and by e-mail. What cannot be delivered waits for the next try and blocks nothing."""

from __future__ import annotations

import logging
import smtplib
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING

from contracts.record import JsonObject, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from database.repositories.notifications import Notification
    from settings import Settings
    from stages.services import Services

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
GIVEN_UP_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What one round of deliveries did."""

    delivered: int
    waiting: int


def deliver_notifications(services: Services) -> Deliveries:
    """One round: each waiting notification by each channel that has not had it. Raises nothing of a channel's failure.

    A channel that fails is not asked again in this round. After a day without success a notification is given up; its
    row says why. A process that dies between delivery and commit delivers again.
    """
    channels = _channels(services.settings)
    delivered = waiting = 0
    with services.unit_of_work() as uow:
        failed: dict[str, str] = {}
        for each in uow.notifications.waiting(locked=True):
            reached: JsonObject = dict(each.delivered)
            for name, send in channels.items():
                if name in reached or name in failed:
                    continue
                try:
                    send(each)
                except (OSError, smtplib.SMTPException) as error:
                    failed[name] = f"{name}: {error}"[:1000]
                    log.warning("a notification waits: %s", failed[name])
                else:
                    reached[name] = utc_now().isoformat()
            missing = [name for name in channels if name not in reached]
            is_done = not missing or utc_now() - each.created_at > GIVEN_UP_AFTER
            trouble = "; ".join(failed[name] for name in missing) or None
            uow.notifications.tried(each.notification_id, reached, trouble, is_done=is_done)
            delivered += not missing
            waiting += not is_done
    return Deliveries(delivered=delivered, waiting=waiting)


def _channels(settings: Settings) -> dict[str, Callable[[Notification], None]]:
    """Those that the settings name."""
    found: dict[str, Callable[[Notification], None]] = {}
    if settings.notify_webhook_url is not None:
        url = settings.notify_webhook_url
        found["webhook"] = lambda notification: _post(url, notification)
    if settings.notify_email_to and settings.smtp_host is not None:
        found["email"] = lambda notification: _mail(settings, notification)
    return found


def _post(url: str, notification: Notification) -> None:
    import httpx

    body = {
        "notification_id": notification.notification_id,
        "subject": notification.subject,
        "event": notification.event,
        "at": notification.created_at.isoformat(),
        **notification.body,
    }
    try:
        httpx.post(url, json=body, timeout=TIMEOUT_SECONDS).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _mail(settings: Settings, notification: Notification) -> None:
    assert settings.smtp_host is not None, "the channel is there only with it"
    message = EmailMessage()
    title = str(notification.body.get(f"title_{settings.language}", notification.event))
    message["Subject"] = f"[Tuneway] {title}"
    message["From"] = settings.smtp_from
    message["To"] = ", ".join(settings.notify_email_to)
    # a mail server that gets it twice can tell
    message["Message-ID"] = f"<notification-{notification.notification_id}@tuneway>"
    message.set_content(f"{notification.body.get('text_ko', '')}\n\n{notification.body.get('text_en', '')}\n")
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_SECONDS) as server:
        if settings.smtp_starttls:
            server.starttls()
        server.send_message(message)
