"""A/B tests: experiments, assignments, answers, ratings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import orjson
from sqlalchemy import (
    ColumnElement,
    Integer,
    cast,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql.ranges import MultiRange, Range
from sqlalchemy.orm import Session

from contracts.arms import DropCause, ExperimentArm
from contracts.enums import AnswerStatus, ExperimentStatus, Exposure
from contracts.errors import NotFoundError
from contracts.experiment_plans import ExperimentPlan
from contracts.experiments import (
    ABExperiment,
    ArmCounts,
    ExperimentTally,
    ExperimentUsers,
    StartABTestRequest,
    UserSums,
)
from contracts.layers import WHOLE_LAYER, BucketRange
from contracts.lists import ListRequest, Page
from contracts.preferences import RatedAnswer
from contracts.traffic import TrafficPlan
from database.models import ABExperimentArmRow, ABExperimentRow, ABTestAssignment, ABTestLog
from database.repositories.paging import Column, read_page

LOCK_EXPERIMENTS = text("SELECT pg_advisory_xact_lock(hashtext('ab_experiments'))")
"""Until the transaction's end, nobody else starts an experiment, looks at one or ends it."""
_NOTHING = (0, 0, 0, 0, 0, 0)
# one row for each user and arm, from which everything is summed. An answer without a user is a unit by itself
_TALLY = text("""
    WITH by_user_and_arm AS MATERIALIZED (
        SELECT coalesce(nullif(user_key, ''), 'request ' || request_id) AS unit, variant,
            count(*) AS answers,
            count(user_rating) AS ratings,
            coalesce(sum(user_rating), 0)::float AS rating,
            coalesce(sum(user_rating * user_rating), 0)::float AS rating_squared,
            coalesce(sum(response_time_ms), 0)::float AS milliseconds,
            -- the clock may have counted less than a millisecond
            sum(ln(greatest(response_time_ms, 1)::float)) AS log_milliseconds,
            bool_or(user_key <> '') AS is_named,
            bool_or(user_key = '') AS is_nameless,
            coalesce(bool_or(variant <> assigned_variant), false) AS went_astray
        FROM ab_test_logs
        WHERE experiment_id = :experiment_id AND variant IS NOT NULL AND coalesce(exposure, 'assigned') = 'assigned'
        GROUP BY 1, 2
    ), by_user AS MATERIALIZED (
        SELECT min(variant) AS variant, count(*) > 1 OR bool_or(went_astray) AS is_mixed,
            sum(ratings)::float AS ratings, sum(rating) AS rating,
            sum(answers)::float AS answers, sum(log_milliseconds) AS log_milliseconds
        FROM by_user_and_arm GROUP BY unit
    )
    SELECT 'answers', variant, sum(answers)::float, sum(ratings)::float, sum(rating), sum(rating_squared),
        sum(milliseconds), (count(*) FILTER (WHERE is_named))::float + max(coalesce(is_nameless, false)::int)
    FROM by_user_and_arm GROUP BY variant
    UNION ALL
    SELECT 'ratings', variant, count(*)::float, sum(ratings), sum(rating), sum(ratings * ratings), sum(ratings * rating),
        sum(rating * rating)
    FROM by_user WHERE NOT is_mixed AND ratings > 0 GROUP BY variant
    UNION ALL
    SELECT 'times', variant, count(*)::float, sum(answers), sum(log_milliseconds), sum(answers * answers),
        sum(answers * log_milliseconds), sum(log_milliseconds * log_milliseconds)
    FROM by_user WHERE NOT is_mixed GROUP BY variant
    UNION ALL
    SELECT 'mixed', NULL, count(*)::float, 0, 0, 0, 0, 0 FROM by_user WHERE is_mixed
""")
_LOG_COLUMNS = {
    "experiment_id": "integer",
    "session_id": "text",
    "variant": "text",
    "model_id": "integer",
    "query": "text",
    "response": "text",
    "response_time_ms": "integer",
    "user_key": "text",
    "request_id": "text",
    "assigned_variant": "text",
    "status": "text",
    "exposure": "text",
    "first_token_ms": "integer",
    "prompt_tokens": "integer",
    "completion_tokens": "integer",
    "table_version": "text",
}
_NAMES = ", ".join(_LOG_COLUMNS)
_LOG_ANSWERS = text(
    f"INSERT INTO ab_test_logs ({_NAMES}, created_at) "  # noqa: S608 - names of this file
    f"SELECT {_NAMES}, coalesce(to_timestamp(asked_at), now()) "
    # as bytes: a driver would look through a text twice
    "FROM json_to_recordset(CAST(convert_from(:answers, 'UTF8') AS json)) AS answer("
    + ", ".join(f"{name} {kind}" for name, kind in _LOG_COLUMNS.items())
    + ", asked_at double precision) ON CONFLICT (request_id) DO NOTHING"
)
_PIN_USERS = text(
    # the last pin of a user in the batch: one that follows it leaves a dropped arm
    "INSERT INTO ab_test_assignments AS kept (experiment_id, user_key, variant) "
    "SELECT DISTINCT ON (experiment_id, user_key) experiment_id, user_key, variant "
    "FROM ROWS FROM (json_to_recordset(CAST(:pins AS json)) AS (experiment_id integer, user_key text, variant text)) "
    "WITH ORDINALITY AS pin (experiment_id, user_key, variant, place) ORDER BY experiment_id, user_key, place DESC "
    "ON CONFLICT (experiment_id, user_key) DO UPDATE SET variant = excluded.variant WHERE kept.variant IN ("
    "SELECT name FROM ab_experiment_arms arm "
    "WHERE arm.experiment_id = kept.experiment_id AND arm.dropped_at IS NOT NULL)"
)

_COUNTED = func.coalesce(ABTestLog.exposure, Exposure.ASSIGNED.value) == Exposure.ASSIGNED.value
"""Not a tester's: those got the arm that they asked for."""


def _record(row: ABExperimentRow) -> ABExperiment:
    return ABExperiment(
        experiment_id=row.id,
        experiment_name=row.experiment_name,
        arms=tuple(_arm(arm) for arm in row.arms),
        model_a_id=row.model_a_id,
        model_b_id=row.model_b_id,
        traffic_split=row.traffic_split,
        target_samples=row.target_samples,
        success_metric=row.success_metric,
        status=ExperimentStatus(row.status),
        start_date=row.start_date,
        plan=None if row.plan is None else ExperimentPlan.model_validate(row.plan),
        traffic=TrafficPlan.model_validate(row.traffic),
        buckets=tuple(_bucket_range(part) for part in row.buckets),
    )


def _arm(row: ABExperimentArmRow) -> ExperimentArm:
    return ExperimentArm(
        name=row.name,
        model_id=row.model_id,
        share=row.share,
        dropped_at=row.dropped_at,
        drop_cause=None if row.drop_cause is None else DropCause(row.drop_cause),
        drop_reason=row.drop_reason,
    )


def _bucket_range(part: Range[int]) -> BucketRange:
    assert part.lower is not None and part.upper is not None, "PostgreSQL gives whole numbers as [first, end)"
    return BucketRange(first=part.lower, end=part.upper)


class ExperimentRepository:
    """Rows of ab_experiments, ab_experiment_arms, ab_test_assignments and ab_test_logs."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "start_date": ABExperimentRow.start_date,
        "experiment_name": ABExperimentRow.experiment_name,
        "status": ABExperimentRow.status,
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock_starts(self) -> None:
        """Until the transaction's end, nobody else starts an experiment, looks at one or ends it."""
        self._session.execute(LOCK_EXPERIMENTS)

    def start(
        self,
        request: StartABTestRequest,
        plan: ExperimentPlan | None = None,
        buckets: Sequence[BucketRange] = WHOLE_LAYER,
    ) -> ABExperiment:
        """Start the experiment in buckets that are free; the same name again is the row that is there.

        PostgreSQL refuses buckets that another running experiment has.
        """
        self.lock_starts()
        present = self._session.execute(
            select(ABExperimentRow).where(ABExperimentRow.experiment_name == request.experiment_name)
        ).scalar_one_or_none()
        if present is not None:
            return _record(present)
        arms = request.planned_arms
        row = ABExperimentRow(
            experiment_name=request.experiment_name,
            model_a_id=arms[0].model_id,
            model_b_id=arms[1].model_id,
            traffic_split={arm.name: arm.share for arm in arms},
            arms=[
                ABExperimentArmRow(position=place, name=arm.name, model_id=arm.model_id, share=arm.share)
                for place, arm in enumerate(arms)
            ],
            target_samples=request.target_samples if plan is None else plan.samples,
            success_metric=request.success_metric,
            status=ExperimentStatus.RUNNING.value,
            plan=None if plan is None else plan.model_dump(mode="json"),
            traffic=request.traffic.model_dump(mode="json"),
            buckets=MultiRange(Range(part.first, part.end) for part in buckets),
        )
        self._session.add(row)
        self._session.flush()
        self._session.refresh(row)
        return _record(row)

    def get(self, experiment_id: int) -> ABExperiment:
        """The experiment. Raises NotFoundError."""
        row = self._session.get(ABExperimentRow, experiment_id)
        if row is None:
            raise NotFoundError("There is no such A/B test", value=experiment_id)
        return _record(row)

    def named(self, experiment_name: str) -> ABExperiment | None:
        """The experiment of that name."""
        row = self._session.execute(
            select(ABExperimentRow).where(ABExperimentRow.experiment_name == experiment_name)
        ).scalar_one_or_none()
        return None if row is None else _record(row)

    def running(self) -> list[ABExperiment]:
        """Every experiment that takes traffic now, the oldest first."""
        rows = self._session.execute(
            select(ABExperimentRow)
            .where(ABExperimentRow.status == ExperimentStatus.RUNNING.value)
            .order_by(ABExperimentRow.id)
        )
        return [_record(row) for row in rows.scalars()]

    def newest(self, limit: int = 20) -> list[ABExperiment]:
        """Experiments, newest first."""
        query = select(ABExperimentRow).order_by(ABExperimentRow.id.desc()).limit(limit)
        return [_record(row) for row in self._session.execute(query).scalars()]

    def page(self, listing: ListRequest, *, status: ExperimentStatus | None = None) -> Page[ABExperiment]:
        """The experiments of that status."""
        query = select(ABExperimentRow)
        if status is not None:
            query = query.where(ABExperimentRow.status == status.value)
        return read_page(self._session, query, listing, self.SORTED_BY, ABExperimentRow.id, _record)

    def stop(self, experiment_id: int, status: ExperimentStatus) -> None:
        """End the experiment."""
        self.get(experiment_id)
        self._session.execute(
            update(ABExperimentRow)
            .where(ABExperimentRow.id == experiment_id)
            .values(status=status.value, end_date=func.now())
        )

    def drop_arm(self, experiment_id: int, name: str, at: datetime, cause: DropCause, reason: str) -> bool:
        """From the next second on the arm's users belong to the others; False where it was dropped before."""
        row = self._session.get(ABExperimentArmRow, (experiment_id, name), populate_existing=True)
        if row is None:
            raise NotFoundError("The A/B test has no such arm", value=name)
        if row.dropped_at is not None:
            return False
        row.dropped_at, row.drop_cause, row.drop_reason = at, cause.value, reason
        self._session.flush()
        return True

    def in_service(self, experiment_id: int) -> list[ExperimentArm]:
        """The arms of which nobody has settled that they leave service."""
        rows = self._session.execute(
            select(ABExperimentArmRow)
            .where(ABExperimentArmRow.experiment_id == experiment_id, ABExperimentArmRow.left_at.is_(None))
            .order_by(ABExperimentArmRow.position)
        )
        return [_arm(row) for row in rows.scalars()]

    def settle_arm(self, experiment_id: int, name: str) -> None:
        """The loser has left, or stays for good: nobody looks at it again."""
        self._session.execute(
            update(ABExperimentArmRow)
            .where(ABExperimentArmRow.experiment_id == experiment_id, ABExperimentArmRow.name == name)
            .values(left_at=func.clock_timestamp())
        )

    def set_traffic(self, experiment_id: int, traffic: TrafficPlan) -> None:
        """From the next second on, who takes part. Raises NotFoundError."""
        self.get(experiment_id)
        self._session.execute(
            update(ABExperimentRow)
            .where(ABExperimentRow.id == experiment_id)
            .values(traffic=traffic.model_dump(mode="json"))
        )

    def pin_user(self, experiment_id: int, user_key: str, arm: str) -> str:
        """Pin the user to the arm, unless pinned already to one that gets users; the arm that holds."""
        self.pin_users([{"experiment_id": experiment_id, "user_key": user_key, "variant": arm}])
        return self._session.execute(
            select(ABTestAssignment.variant).where(
                ABTestAssignment.experiment_id == experiment_id, ABTestAssignment.user_key == user_key
            )
        ).scalar_one()

    def pinned(self, experiment_id: int) -> dict[str, str]:
        """Every pinned user of the experiment."""
        rows = self._session.execute(
            select(ABTestAssignment.user_key, ABTestAssignment.variant).where(
                ABTestAssignment.experiment_id == experiment_id
            )
        )
        return dict(rows.all())

    def log_answer(
        self,
        *,
        experiment_id: int | None,
        user_key: str,
        session_id: str | None,
        variant: str | None,
        model_id: int,
        query: str,
        response: str,
        response_time_ms: int,
        request_id: str,
        assigned_variant: str | None = None,
    ) -> None:
        """Store an answer; the same request_id again changes nothing."""
        answer = {
            "experiment_id": experiment_id,
            "user_key": user_key,
            "session_id": session_id,
            "variant": variant,
            "assigned_variant": assigned_variant,
            "model_id": model_id,
            "query": query,
            "response": response,
            "response_time_ms": response_time_ms,
            "request_id": request_id,
        }
        self.log_answers([[answer]])

    def log_answers(self, chunks: Iterable[Sequence[Mapping[str, object]]]) -> None:
        """Store many at once, each a value a column; those whose request_id is there change nothing.

        One statement with one parameter, made a chunk at a time: at ten thousand answers a second the database is not what
        costs most.
        """
        # without their brackets the lists are one list
        answers = b",".join([orjson.dumps(chunk)[1:-1] for chunk in chunks if chunk])
        if answers:
            self._session.execute(_LOG_ANSWERS, {"answers": b"[%b]" % answers})

    def pin_users(self, pins: Sequence[Mapping[str, object]]) -> None:
        """Pin many users at once, each with experiment_id, user_key and variant.

        Who is pinned stays where they are, unless that arm gets no more users.
        """
        self._session.execute(_PIN_USERS, {"pins": orjson.dumps(pins).decode()})

    def rate(self, request_id: str, rating: int, feedback: str | None) -> bool:
        """Store the rating, 1 to 5, of an answer; False when no such answer is stored."""
        updated = self._session.execute(
            update(ABTestLog)
            .where(ABTestLog.request_id == request_id)
            .values(user_rating=rating, user_feedback=feedback)
            .returning(ABTestLog.id)
        ).scalar_one_or_none()
        return updated is not None

    def rated_answers(self, experiment_id: int, opened: Callable[[str, str, str], str]) -> list[RatedAnswer]:
        """Each different answer to each question with the mean of its ratings, whichever arm gave it.

        `opened(column, request_id, stored)` gives the text again that a column holds sealed.
        """
        rows = self._session.execute(
            select(ABTestLog.request_id, ABTestLog.query, ABTestLog.response, ABTestLog.user_rating).where(
                ABTestLog.experiment_id == experiment_id,
                ABTestLog.user_rating.is_not(None),
                ABTestLog.query != "",
                ABTestLog.response != "",
            )
        )
        ratings: dict[tuple[str, str], list[int]] = {}
        for request_id, query, response, rating in rows:
            assert rating is not None
            said = opened("query", request_id, query or ""), opened("response", request_id, response or "")
            if all(text.strip() for text in said):
                ratings.setdefault(said, []).append(rating)
        return [
            RatedAnswer(question=question, answer=answer, mean_rating=sum(given) / len(given), ratings=len(given))
            for (question, answer), given in sorted(ratings.items())
        ]

    def tally(self, experiment_id: int) -> ExperimentTally:
        """Sufficient statistics of each arm and of its users, in one look over the answers."""
        found: dict[tuple[str, str], Any] = {}
        mixed = 0
        for kind, arm, *sums in self._session.execute(_TALLY, {"experiment_id": experiment_id}):
            if kind == "mixed":
                mixed = int(sums[0])
            else:
                found[kind, arm] = sums
        arms = self._arms(experiment_id)
        return ExperimentTally(
            counts={arm: _arm_counts(found.get(("answers", arm), _NOTHING)) for arm in arms},
            users=ExperimentUsers(
                ratings={arm: _user_sums(found.get(("ratings", arm), _NOTHING)) for arm in arms},
                log_response_times={arm: _user_sums(found.get(("times", arm), _NOTHING)) for arm in arms},
                mixed_users=mixed,
            ),
        )

    def arrived(self, experiment_id: int) -> dict[str, int]:
        """Users with a record, by the arm that they were assigned to; testers are not counted."""
        return self._assigned_users(experiment_id)

    def arrivals(self, experiment_id: int, changes: Sequence[datetime]) -> list[dict[str, int]]:
        """New users before, between and after these moments, by the arm that each was assigned to first.

        Testers are not counted.
        """
        arm = func.coalesce(ABTestLog.assigned_variant, ABTestLog.variant)
        first = (
            select(arm.label("arm"), ABTestLog.created_at)
            .ext(distinct_on(ABTestLog.user_key))
            .where(ABTestLog.experiment_id == experiment_id, arm.is_not(None), ABTestLog.user_key != "", _COUNTED)
            .order_by(ABTestLog.user_key, ABTestLog.created_at, ABTestLog.id)
            .subquery()
        )
        phase = sum((cast(first.c.created_at >= change, Integer) for change in changes), literal(0))
        rows = self._session.execute(select(phase, first.c.arm, func.count()).group_by(phase, first.c.arm))
        arms = self._arms(experiment_id)
        found = [dict.fromkeys(arms, 0) for _ in range(len(changes) + 1)]
        for place, variant, users in rows:
            found[place][variant] = users
        return found

    def failed(self, experiment_id: int) -> dict[str, int]:
        """Of those, the users who saw a question fail or an answer break off."""
        return self._assigned_users(
            experiment_id, ABTestLog.status.in_([AnswerStatus.FAILED.value, AnswerStatus.BROKEN.value])
        )

    def _assigned_users(self, experiment_id: int, *conditions: ColumnElement[bool]) -> dict[str, int]:
        arm = func.coalesce(ABTestLog.assigned_variant, ABTestLog.variant)
        rows = self._session.execute(
            select(arm, func.count(func.distinct(ABTestLog.user_key)))
            .where(
                ABTestLog.experiment_id == experiment_id,
                arm.is_not(None),
                ABTestLog.user_key != "",
                _COUNTED,
                *conditions,
            )
            .group_by(arm)
        )
        found: dict[str | None, int] = dict(rows.all())
        return {arm: found.get(arm, 0) for arm in self._arms(experiment_id)}

    def _arms(self, experiment_id: int) -> list[str]:
        rows = self._session.execute(
            select(ABExperimentArmRow.name)
            .where(ABExperimentArmRow.experiment_id == experiment_id)
            .order_by(ABExperimentArmRow.position)
        )
        return list(rows.scalars())


def _arm_counts(sums: Sequence[float]) -> ArmCounts:
    answers, ratings, rating, rating_squared, milliseconds, users = sums
    return ArmCounts(
        samples=int(answers),
        ratings=int(ratings),
        sum_rating=rating,
        sum_squared_rating=rating_squared,
        sum_response_time_ms=milliseconds,
        users=int(users),
    )


def _user_sums(sums: Sequence[float]) -> UserSums:
    users, weight, value, weight_squared, weight_value, value_squared = sums
    return UserSums(
        users=int(users),
        weight=weight,
        value=value,
        weight_squared=weight_squared,
        weight_value=weight_value,
        value_squared=value_squared,
    )
