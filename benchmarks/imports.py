"""How fast files are imported, against reading them with plain libraries and doing nothing with what was read.

    python -m benchmarks.imports

The same rows are written in every format, so that the text formats have the wanted size; Parquet, Excel and compressed
files are as small as their format makes them. Each measurement is a process of its own. The peer is the usual way to
read the format: `pyarrow.json`, `pyarrow.csv`, `pyarrow.parquet`, `json.load`, and `python_calamine` for Excel; it only
makes Python objects of the file, all in memory, where the import checks every row, gives it a key and writes it.
"""

import argparse
import csv
import gzip
import json
import multiprocessing
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.measuring import middle, own_folder, parser, peak_mib, report
from contracts.datasets import ImportRequest
from data_prep.imports.importing import import_files

TINY_MB = 1
ENDINGS = ("jsonl", "json", "csv", "cp949.csv", "jsonl.gz", "jsonl.zst", "parquet", "xlsx")
TEXT = (
    "고속도로 통행료 환급은 영업소를 방문하시거나 홈페이지에서 신청하실 수 있으며 본인 확인을 위해 신분증이 필요합니다 "
    "하이패스 단말기 등록과 할인 신청은 각 지역 영업소에서 평일 오전부터 오후까지 접수합니다 감면 대상 차량"
)
_EXCEL_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """One measured piece of work."""

    rows: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def main() -> None:
    """Measure and report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--megabytes", type=int, default=200, help="of the JSONL file")
    arguments.add_argument("--characters", type=int, default=300, help="of a row")
    arguments.add_argument("--formats", nargs="+", choices=ENDINGS, default=list(ENDINGS))
    arguments.add_argument("--rounds", type=int, default=1)
    options = arguments.parse_args()
    if options.tiny:
        options.megabytes, options.rounds = TINY_MB, 1
    with own_folder() as folder:
        paths = write_files(folder, options)
        lines = [line_of(path, ending, options.rounds) for ending, path in paths.items()]
    report("imports", options, {"measured": lines}, [tuple(line.values()) for line in lines])


def write_files(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The same rows in each format."""
    rows = list(sample_rows(options.megabytes * 10**6, options.characters))
    paths = {ending: folder / f"rows.{ending}" for ending in options.formats}
    for ending, path in paths.items():
        _write(path, ending, rows)
    return paths


def sample_rows(size: int, characters: int) -> Iterator[tuple[str, str, str]]:
    """Question, answer and category of so many rows that their JSONL has about the size."""
    words = TEXT.split()
    chance = random.Random(1)  # noqa: S311 - the same rows in every run
    written = number = 0
    while written < size:
        question = f"{number}번 영업소의 {' '.join(chance.choices(words, k=4))} 알려 주세요."
        answer = " ".join(chance.choices(words, k=max(1, (characters - len(question)) // 5))) + "."
        number += 1
        written += len(question.encode()) + len(answer.encode()) + 110
        yield question, answer, chance.choice(["통행료", "환급", "할인"])


def _write(path: Path, ending: str, rows: list[tuple[str, str, str]]) -> None:
    import orjson
    import pyarrow
    import pyarrow.parquet
    import xlsxwriter
    import zstandard

    def lines() -> Iterator[bytes]:
        for question, answer, category in rows:
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            yield orjson.dumps({"messages": turns, "metadata": {"category": category}}) + b"\n"

    names = ("question", "answer", "category")
    if ending == "jsonl":
        with path.open("wb") as stream:
            stream.writelines(lines())
    elif ending == "jsonl.gz":
        with gzip.open(path, "wb", compresslevel=3) as packed:
            packed.writelines(lines())
    elif ending == "jsonl.zst":
        with path.open("wb") as target, zstandard.ZstdCompressor().stream_writer(target) as frame:
            for line in lines():
                frame.write(line)
    elif ending == "json":
        with path.open("w", encoding="utf-8") as text:
            json.dump([dict(zip(names, row, strict=True)) for row in rows], text, ensure_ascii=False, indent=1)
    elif ending.endswith("csv"):
        encoding = "cp949" if ending == "cp949.csv" else "utf-8"
        with path.open("w", encoding=encoding, newline="") as text:
            csv.writer(text).writerows([names, *rows])
    elif ending == "parquet":
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), path
        )
    else:
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True})
        sheet = book.add_worksheet()
        for number, row in enumerate([names, *rows[:_EXCEL_ROWS]]):
            sheet.write_row(number, 0, row)
        book.close()


def line_of(path: Path, ending: str, rounds: int) -> dict[str, object]:
    """One line of the result."""
    works: dict[str, list[Work]] = defaultdict(list)
    contestants: tuple[Callable[[str, str], Work], ...] = (import_here, read_plainly)
    for number in range(rounds):
        for contestant in contestants if number % 2 == 0 else reversed(contestants):
            works[contestant.__name__].append(_in_own_process(contestant, str(path), ending))
    here, plain = works["import_here"], works["read_plainly"]
    assert here[0].rows == plain[0].rows, (ending, here[0].rows, plain[0].rows)
    return {
        "format": ending,
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "rows": here[0].rows,
        "seconds": middle([work.seconds for work in here], 2),
        "cpu_seconds": middle([work.cpu_seconds for work in here], 2),
        "rows_per_second": middle([work.rows / work.seconds for work in here], 0),
        "peak_mib": middle([work.peak_mib for work in here], 0),
        "plain_reading_seconds": middle([work.seconds for work in plain], 2),
        "plain_reading_cpu_seconds": middle([work.cpu_seconds for work in plain], 2),
        "plain_reading_peak_mib": middle([work.peak_mib for work in plain], 0),
        "cpu_ratio": middle([h.cpu_seconds / p.cpu_seconds for h, p in zip(here, plain, strict=True)], 2),
    }


def _in_own_process(work: Callable[[str, str], Work], path: str, ending: str) -> Work:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return replace(process.submit(work, path, ending).result(), peak_mib=process.submit(peak_mib).result())


def import_here(path: str, ending: str) -> Work:
    """The whole import: checksum, encoding, rows, keys, Parquet, on the disk."""
    folder = Path(path).parent
    began, cpu_began = time.perf_counter(), time.process_time()
    imported = import_files(
        ImportRequest(dataset_name="benchmark", input_files=[path]),
        imports_dir=Path(mkdtemp(dir=folder)),
        relative_to=folder,
        allowed_roots=[folder],
        min_free_disk_gb=0.1,
    )
    return Work(imported.total_rows, time.perf_counter() - began, time.process_time() - cpu_began, 0)


def read_plainly(path: str, ending: str) -> Work:
    """The file as Python objects, as the library's documentation shows it."""
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet
    import python_calamine

    began, cpu_began = time.perf_counter(), time.process_time()
    if ending == "json":
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    elif ending == "xlsx":
        rows = python_calamine.CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()[1:]
    else:
        if ending == "parquet":
            table = pyarrow.parquet.read_table(path)
        elif ending.endswith("csv"):
            encoding = "cp949" if ending == "cp949.csv" else "utf8"
            table = pyarrow.csv.read_csv(path, read_options=pyarrow.csv.ReadOptions(encoding=encoding))
        else:
            with pyarrow.input_stream(path, compression="detect") as stream:
                table = pyarrow.json.read_json(stream)
        rows = table.to_pylist()
    return Work(len(rows), time.perf_counter() - began, time.process_time() - cpu_began, 0)


if __name__ == "__main__":
    main()
