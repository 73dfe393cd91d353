"""Generated samples and what people said of them."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Integer, case, delete, func, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.enums import QuestionTemplate, ReviewVerdict
from contracts.errors import ConflictError, InvalidRequestError, NotFoundError
from contracts.generation import NewReview, ReviewCounts, SampleReview
from contracts.record import JsonObject, utc_now
from database.models import SampleReviewRow as Row

_BATCH_ROWS = 500


def _record(row: Row) -> SampleReview:
    return SampleReview(
        review_id=row.id,
        generation_id=row.generation_id,
        dataset_name=row.dataset_name,
        sample_id=row.sample_id,
        position=row.position,
        template=QuestionTemplate(row.template),
        document=row.document,
        grounding=row.grounding,
        quality=row.quality,
        messages=row.messages,
        metadata=row.sample_metadata,
        passage=row.passage,
        verdict=None if row.verdict is None else ReviewVerdict(row.verdict),
        edited_messages=row.edited_messages,
        note=row.note,
        reviewer=row.reviewer,
        reviewed_at=row.reviewed_at,
    )


class ReviewRepository:
    """Rows of sample_reviews."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def everything(self) -> Iterator[SampleReview]:
        """Every sample of every generation."""
        query = select(Row).order_by(Row.id).execution_options(yield_per=_BATCH_ROWS)
        for row in self._session.execute(query).scalars():
            yield _record(row)

    def remove(self, review_ids: Collection[int]) -> int:
        """Delete samples with what was said of them. Returns how many."""
        removed = self._session.execute(delete(Row).where(Row.id.in_(list(review_ids))).returning(Row.id))
        return len(removed.all())

    def put_up(self, generation_id: str, dataset_name: str, samples: Sequence[NewReview]) -> int:
        """Put samples up for review; those that are there keep their verdicts. Returns how many are new."""
        added = 0
        for start in range(0, len(samples), _BATCH_ROWS):
            values = [
                {
                    "generation_id": generation_id,
                    "dataset_name": dataset_name,
                    "sample_id": sample.sample_id,
                    "position": sample.position,
                    "template": sample.template.value,
                    "document": sample.document,
                    "grounding": sample.grounding,
                    "quality": sample.quality,
                    "messages": sample.messages,
                    "metadata": sample.metadata,
                    "passage": sample.passage,
                }
                for sample in samples[start : start + _BATCH_ROWS]
            ]
            statement = insert(Row.__table__).values(values)  # type: ignore[arg-type]
            statement = statement.on_conflict_do_nothing(index_elements=["generation_id", "sample_id"])
            added += len(self._session.execute(statement.returning(Row.__table__.c.id)).all())
        return added

    def generations(self, limit: int = 50) -> list[ReviewCounts]:
        """Every generation with samples for review, the newest first."""
        return self._counts(limit=limit)

    def counts(self, generation_id: str) -> ReviewCounts:
        """How far one generation's review is. Raises NotFoundError."""
        found = self._counts(generation_id)
        if not found:
            raise NotFoundError(
                "There are no samples of that generation to review",
                value=generation_id,
                next_step="list the generations on the dashboard's review page",
            )
        return found[0]

    def _counts(self, generation_id: str | None = None, limit: int = 1) -> list[ReviewCounts]:
        def said(verdict: ReviewVerdict) -> object:
            return func.sum(case((Row.verdict == verdict.value, 1), else_=0)).cast(Integer)

        newest = func.max(Row.created_at)
        query = (
            select(
                Row.generation_id,
                func.max(Row.dataset_name),
                func.count(),
                said(ReviewVerdict.ACCEPT),  # type: ignore[call-overload]
                said(ReviewVerdict.EDIT),
                said(ReviewVerdict.REJECT),
                newest,
            )
            .group_by(Row.generation_id)
            .order_by(newest.desc(), Row.generation_id)
            .limit(limit)
        )
        if generation_id is not None:
            query = query.where(Row.generation_id == generation_id)
        return [
            ReviewCounts(
                generation_id=name, dataset_name=dataset, total=total, accepted=accepted, edited=edited,
                rejected=rejected, newest=at,
            )
            for name, dataset, total, accepted, edited, rejected, at in self._session.execute(query)
        ]  # fmt: skip

    def get(self, review_id: int) -> SampleReview:
        """The sample. Raises NotFoundError."""
        row = self._session.get(Row, review_id)
        if row is None:
            raise NotFoundError("There is no such sample", value=review_id)
        return _record(row)

    def positions(
        self,
        generation_id: str,
        *,
        verdict: ReviewVerdict | None = None,
        waiting: bool = False,
        template: QuestionTemplate | None = None,
    ) -> list[int]:
        """The review_id of each sample of that kind, in the order of the generation."""
        query = select(Row.id).where(Row.generation_id == generation_id).order_by(Row.position, Row.id)
        if waiting:
            query = query.where(Row.verdict.is_(None))
        elif verdict is not None:
            query = query.where(Row.verdict == verdict.value)
        if template is not None:
            query = query.where(Row.template == template.value)
        return list(self._session.execute(query).scalars())

    def templates(self, generation_id: str) -> list[QuestionTemplate]:
        """The kinds of samples that a generation has."""
        query = select(Row.template).where(Row.generation_id == generation_id).distinct()
        there = set(self._session.execute(query).scalars())
        return [template for template in QuestionTemplate if template.value in there]

    def decide(
        self,
        review_id: int,
        verdict: ReviewVerdict | None,
        *,
        reviewer: str,
        seen: datetime | None,
        edited_messages: list[JsonObject] | None = None,
        note: str | None = None,
    ) -> SampleReview:
        """Record a verdict; None takes it back. `seen` is the reviewed_at of the sample as the reviewer saw it.

        Raises ConflictError when somebody else has judged it in the meantime, InvalidRequestError for an edit that
        changes who speaks or leaves a turn empty.
        """
        present = self.get(review_id)
        if (verdict is ReviewVerdict.EDIT) != (edited_messages is not None):
            raise InvalidRequestError("An edit has new turns, and no other verdict has", value=verdict)
        if edited_messages is not None:
            _require_same_speakers(present.messages, edited_messages)
        changed = self._session.execute(
            update(Row)
            .where(Row.id == review_id, Row.reviewed_at.is_not_distinct_from(seen))
            .values(
                verdict=None if verdict is None else verdict.value,
                edited_messages=null() if edited_messages is None else edited_messages,
                note=note or None,
                reviewer=None if verdict is None else reviewer,
                reviewed_at=None if verdict is None else utc_now(),
            )
            .returning(Row.id)
        ).all()
        if not changed:
            raise ConflictError(
                "Somebody else has judged this sample in the meantime",
                value=f"{present.verdict} by {present.reviewer}",
                next_step="look at it again",
            )
        self._session.expire_all()
        return self.get(review_id)

    def samples(self, generation_id: str) -> Iterator[SampleReview]:
        """Every sample of a generation in order, a batch at a time."""
        after = (-1, 0)
        while True:
            query = (
                select(Row)
                .where(Row.generation_id == generation_id, (Row.position > after[0]) | ((Row.position == after[0]) & (Row.id > after[1])))
                .order_by(Row.position, Row.id)
                .limit(_BATCH_ROWS)
            )  # fmt: skip
            rows = list(self._session.execute(query).scalars())
            if not rows:
                return
            after = (rows[-1].position, rows[-1].id)
            yield from [_record(row) for row in rows]
            self._session.expunge_all()


def _require_same_speakers(original: list[JsonObject], edited: list[JsonObject]) -> None:
    roles = [message.get("role") for message in original]
    if [message.get("role") for message in edited] != roles:
        raise InvalidRequestError("An edit keeps the turns and who speaks them", allowed=", ".join(map(str, roles)))
    if any(not str(message.get("content", "")).strip() for message in edited):
        raise InvalidRequestError("A turn is empty", next_step="write it, or reject the sample")
