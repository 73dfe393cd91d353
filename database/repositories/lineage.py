"""What was made of what, followed through all tables in one recursive query."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from contracts.enums import LineageKind
from contracts.lineage import LineageEdge, LineageGraph, LineageNode

# A node is a kind and a key. An edge leads from what went in to what came of it. Every table that refers to another one
# is here once; `tuneway lineage`, the dashboard and the model card read the same query.
_EDGES = """
edges (source_kind, source_key, target_kind, target_key) AS (
    SELECT DISTINCT 'document', coalesce(source_sha256, source_path), 'dataset', dataset_id::text
        FROM dataset_lineage WHERE coalesce(source_sha256, source_path) IS NOT NULL
    UNION ALL SELECT 'dataset', parent_dataset_id::text, 'dataset', dataset_id::text
        FROM dataset_lineage WHERE parent_dataset_id IS NOT NULL
    UNION ALL SELECT 'dataset', dataset_id::text, 'job', id::text FROM finetuning_jobs
    UNION ALL SELECT 'job', report -> 'compression' ->> 'parent_job_id', 'job', id::text
        FROM finetuning_jobs WHERE report -> 'compression' ->> 'parent_job_id' IS NOT NULL
    UNION ALL SELECT 'job', job_id::text, 'checkpoint', id::text FROM training_checkpoints
    UNION ALL SELECT 'job', finetuning_job_id::text, 'model', id::text
        FROM model_registry WHERE finetuning_job_id IS NOT NULL
    -- the weights that a job leaves are those of its last step: of the checkpoint of that step, where it was saved
    UNION ALL SELECT 'checkpoint', saved.id::text, 'model', model.id::text
        FROM model_registry model
        JOIN finetuning_jobs job ON job.id = model.finetuning_job_id
        JOIN training_checkpoints saved ON saved.job_id = job.id AND saved.step = (job.report ->> 'steps')::int
    UNION ALL SELECT 'job', job_id::text, 'evaluation', id::text FROM model_evaluations
    UNION ALL SELECT 'model', model.id::text, 'evaluation', evaluation.id::text
        FROM model_registry model JOIN model_evaluations evaluation ON evaluation.job_id = model.finetuning_job_id
    UNION ALL SELECT 'model', model_id::text, 'result', id::text FROM suite_results WHERE model_id IS NOT NULL
    UNION ALL SELECT 'job', job_id::text, 'result', id::text FROM suite_results WHERE job_id IS NOT NULL
    UNION ALL SELECT 'suite', suite.id::text, 'result', result.id::text
        FROM suite_results result
        JOIN test_suites suite ON suite.name = result.suite_name AND suite.version = result.suite_version
    UNION ALL SELECT 'model', id::text, 'deployment', id::text FROM model_registry WHERE deployment_config IS NOT NULL
        AND jsonb_typeof(deployment_config) = 'object'
    UNION ALL SELECT 'model', arm.model_id::text, 'experiment', experiment.id::text
        FROM ab_experiments experiment JOIN ab_experiment_arms arm ON arm.experiment_id = experiment.id
    UNION ALL SELECT 'deployment', arm.model_id::text, 'experiment', experiment.id::text
        FROM ab_experiments experiment JOIN ab_experiment_arms arm ON arm.experiment_id = experiment.id
        JOIN model_registry model ON model.id = arm.model_id AND jsonb_typeof(model.deployment_config) = 'object'
    UNION ALL SELECT DISTINCT 'experiment', experiment_id::text, 'verdict', experiment_id::text FROM ab_test_results
)
"""
_NODES = """
nodes (kind, key, label, details) AS (
    SELECT 'document', coalesce(source_sha256, source_path), min(source_path),
        jsonb_build_object('rows', max(rows))
        FROM dataset_lineage WHERE coalesce(source_sha256, source_path) IS NOT NULL GROUP BY 2
    UNION ALL SELECT 'dataset', id::text, name || ' ' || version,
        jsonb_build_object('rows', total_samples, 'status', status, 'content_hash', content_hash) FROM training_datasets
    UNION ALL SELECT 'job', id::text, job_name,
        jsonb_build_object('method', method, 'status', status, 'base_model', base_model) FROM finetuning_jobs
    UNION ALL SELECT 'checkpoint', id::text, checkpoint_name, jsonb_build_object('step', step)
        FROM training_checkpoints
    UNION ALL SELECT 'model', id::text, model_name || '@' || version,
        jsonb_build_object('status', status, 'format', model_format, 'content_hash', content_hash) FROM model_registry
    UNION ALL SELECT 'suite', id::text, name || ' v' || version, jsonb_build_object('cases', case_count, 'kind', kind)
        FROM test_suites
    UNION ALL SELECT 'evaluation', id::text, report -> 'main' ->> 'name',
        jsonb_build_object('accuracy', metrics -> 'accuracy', 'n', metrics -> 'n', 'verdict', verdict -> 'decision')
        FROM model_evaluations
    UNION ALL SELECT 'result', id::text, suite_name || coalesce(' v' || suite_version, ''),
        jsonb_build_object('score_name', score_name, 'score', score, 'lower', lower, 'upper', upper, 'n', n)
        FROM suite_results
    UNION ALL SELECT 'deployment', id::text, deployment_config ->> 'served_model_name',
        jsonb_build_object('base_url', deployment_config -> 'base_url', 'backend', deployment_config -> 'backend')
        FROM model_registry WHERE jsonb_typeof(deployment_config) = 'object'
    UNION ALL SELECT 'experiment', id::text, experiment_name, jsonb_build_object('status', status)
        FROM ab_experiments
    UNION ALL SELECT 'verdict', experiment_id::text, upper(max(variant) FILTER (WHERE winner)),
        jsonb_build_object('samples', sum(total_samples)) FROM (
            SELECT DISTINCT ON (experiment_id, variant) * FROM ab_test_results
            ORDER BY experiment_id, variant, calculated_at DESC
        ) newest GROUP BY experiment_id
)
"""
_LINEAGE = text(
    f"""
WITH RECURSIVE {_EDGES},
before (kind, key) AS (
    VALUES (CAST(:kind AS text), CAST(:key AS text))
    UNION SELECT edges.source_kind, edges.source_key FROM edges
        JOIN before ON (edges.target_kind, edges.target_key) = (before.kind, before.key)
),
after (kind, key) AS (
    VALUES (CAST(:kind AS text), CAST(:key AS text))
    UNION SELECT edges.target_kind, edges.target_key FROM edges
        JOIN after ON (edges.source_kind, edges.source_key) = (after.kind, after.key)
),
-- what else went into what came of it: the other arm's model of an A/B test, the suite of a result; one step only
beside (kind, key) AS (
    SELECT edges.source_kind, edges.source_key FROM edges
        JOIN after ON (edges.target_kind, edges.target_key) = (after.kind, after.key)
        WHERE (after.kind, after.key) <> (CAST(:kind AS text), CAST(:key AS text))
),
chosen (kind, key) AS (
    SELECT kind, key FROM before WHERE :up UNION SELECT kind, key FROM after WHERE :down
    UNION SELECT kind, key FROM beside WHERE :down AND kind IN ('model', 'suite', 'deployment')
    UNION VALUES (CAST(:kind AS text), CAST(:key AS text))
),
{_NODES}
SELECT 'node' AS what, nodes.kind, nodes.key, nodes.label, nodes.details, NULL AS target_kind, NULL AS target_key
    FROM nodes JOIN chosen USING (kind, key)
UNION ALL
SELECT DISTINCT 'edge', edges.source_kind, edges.source_key, NULL, NULL::jsonb, edges.target_kind, edges.target_key
    FROM edges
    JOIN chosen source ON (source.kind, source.key) = (edges.source_kind, edges.source_key)
    -- targets that are not chosen are left out by the reader: a second join here becomes a nested loop of 4 M rounds
"""  # noqa: S608 - put together from constants of this file
)


class LineageRepository:
    """The graph over the rows of all tables."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def around(self, kind: LineageKind, key: str, *, up: bool = True, down: bool = True) -> LineageGraph | None:
        """What led to the thing, what came of it, or both. None where there is no such thing."""
        nodes, edges = {}, []
        rows = self._session.execute(_LINEAGE, {"kind": kind.value, "key": key, "up": up, "down": down})
        for what, of_kind, of_key, label, details, target_kind, target_key in rows:
            if what == "node":
                node = LineageNode(
                    kind=LineageKind(of_kind),
                    key=of_key,
                    label=label or of_key,
                    details={name: value for name, value in details.items() if value is not None},
                )
                nodes[node.node_id] = node
            else:
                edges.append((f"{of_kind}:{of_key}", f"{target_kind}:{target_key}"))
        root = f"{kind.value}:{key}"
        if root not in nodes:
            return None
        order = {member: position for position, member in enumerate(LineageKind)}
        return LineageGraph(
            root=root,
            nodes=sorted(nodes.values(), key=lambda node: (order[node.kind], len(node.key), node.key)),
            edges=[
                LineageEdge(source=source, target=target)
                for source, target in sorted(edges)
                if source in nodes and target in nodes
            ],
        )

    def documents(self, given: str) -> list[str]:
        """Keys of the documents whose path ends in the text, or whose SHA-256 begins with it."""
        query = text(
            "SELECT DISTINCT coalesce(source_sha256, source_path) FROM dataset_lineage "
            "WHERE source_path = :given OR right(source_path, length(:given) + 1) = '/' || :given "
            "OR (length(:given) >= 6 AND left(source_sha256, length(:given)) = :given) ORDER BY 1 LIMIT 20"
        )
        return [str(key) for key in self._session.execute(query, {"given": given}).scalars() if key is not None]
