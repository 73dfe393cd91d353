"""Who asks how often: the generic cell rate algorithm as one statement, exact however many processes ask at once."""

from sqlalchemy import text
from sqlalchemy.orm import Session

_HIT = text(
    """
    INSERT INTO rate_limits AS known (bucket, arrival)
    SELECT :bucket, clock.now + :interval FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock
    ON CONFLICT (bucket) DO UPDATE
        SET arrival = greatest(known.arrival, excluded.arrival - :interval) + :interval
        WHERE greatest(known.arrival, excluded.arrival - :interval) + :interval
            <= excluded.arrival - :interval + :period
    RETURNING arrival
    """
)
_WAIT = text(
    """
    SELECT arrival + :interval - :period - extract(epoch FROM clock_timestamp())::float8
    FROM rate_limits WHERE bucket = :bucket
    """
)


class LimitRepository:
    """Rows of rate_limits: the theoretical arrival time of each bucket, in seconds since 1970."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def hit(self, bucket: str, limit: int, period_seconds: float) -> float:
        """Count a request: 0 where it may go on, else the seconds until the next one may.

        `limit` requests at once, then one each `period_seconds / limit`. A refused one costs nothing. Source: ITU-T I.371.
        """
        values = {"bucket": bucket, "interval": period_seconds / limit, "period": period_seconds}
        if self._session.execute(_HIT, values).one_or_none() is not None:
            return 0.0
        wait = self._session.execute(_WAIT, values).scalar_one_or_none()
        return max(float(wait or 0.0), 0.001)

    def forget_idle(self) -> None:
        """Remove buckets that are full again."""
        self._session.execute(
            text("DELETE FROM rate_limits WHERE arrival < extract(epoch FROM clock_timestamp())::float8 - 60")
        )
