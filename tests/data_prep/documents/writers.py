"""Real documents of each kind, written for the tests."""

import struct
import zipfile
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

SECTOR = 512
MINI_SECTOR = 64
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound_file(streams: dict[str, bytes]) -> bytes:
    """A compound file (OLE) with the streams; `a/b` lies in the storage `a`. Small streams go to the mini stream."""
    names = sorted({name.split("/")[0] for name in streams if "/" in name})
    entries: list[dict[str, int | str | bytes]] = [{"name": "Root Entry", "type": 5}]
    children: dict[int, list[int]] = {0: []}
    storages = {}
    for name in names:
        storages[name] = len(entries)
        children[0].append(len(entries))
        children[len(entries)] = []
        entries.append({"name": name, "type": 1})
    mini, sectors, fat, mini_fat = b"", b"", list[int](), list[int]()

    def chain(table: list[int], count: int) -> int:
        first = len(table)
        table.extend(range(first + 1, first + count))
        table.append(_END)
        return first

    for path, data in streams.items():
        parent = storages[path.split("/")[0]] if "/" in path else 0
        children[parent].append(len(entries))
        if len(data) < 4096:
            first = chain(mini_fat, -(-len(data) // MINI_SECTOR)) if data else _END
            mini += data.ljust(-(-len(data) // MINI_SECTOR) * MINI_SECTOR, b"\0")
        else:
            first = chain(fat, -(-len(data) // SECTOR))
            sectors += data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")
        entries.append({"name": path.split("/")[-1], "type": 2, "start": first, "size": len(data)})
    if mini:
        entries[0]["start"] = chain(fat, -(-len(mini) // SECTOR))
        entries[0]["size"] = len(mini)
        sectors += mini.ljust(-(-len(mini) // SECTOR) * SECTOR, b"\0")
    mini_table = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    mini_sectors = -(-len(mini_table) // SECTOR)
    mini_start = chain(fat, mini_sectors) if mini_sectors else _END
    sectors += mini_table.ljust(mini_sectors * SECTOR, b"\xff")
    links: dict[int, int] = {}
    for parent, below in children.items():
        # a degenerate tree: each entry is the right sibling of the one before
        ordered = sorted(
            below, key=lambda index: (len(str(entries[index]["name"])), str(entries[index]["name"]).upper())
        )
        entries[parent]["child"] = ordered[0] if ordered else _FREE
        links.update(pairwise(ordered))
    directory = b""
    for index, entry in enumerate(entries):
        label = str(entry["name"]).encode("utf-16-le") + b"\0\0"
        directory += label.ljust(64, b"\0") + struct.pack(
            "<HBBIII16sIQQIQ", len(label), entry["type"], 1, _FREE, links.get(index, _FREE), entry.get("child", _FREE),
            b"", 0, 0, 0, entry.get("start", _END), entry.get("size", 0),
        )  # fmt: skip
    directory = directory.ljust(-(-len(directory) // SECTOR) * SECTOR, b"\0")
    directory_start = chain(fat, len(directory) // SECTOR)
    sectors += directory
    fat_sectors = 1
    while (len(fat) + fat_sectors) * 4 > fat_sectors * SECTOR:
        fat_sectors += 1
    fat_start = len(fat)
    fat.extend([_FAT] * fat_sectors)
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(fat_sectors * SECTOR, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6s9I", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, fat_sectors,
        directory_start, 0, 4096, mini_start, mini_sectors, _END, 0,
    )  # fmt: skip
    header += struct.pack(
        f"<{109}I", *(list(range(fat_start, fat_start + fat_sectors)) + [_FREE] * (109 - fat_sectors))
    )
    return header + sectors + table


def hwp_record(tag: int, level: int, data: bytes) -> bytes:
    if len(data) >= 0xFFF:
        return struct.pack("<II", tag | level << 10 | 0xFFF << 20, len(data)) + data
    return struct.pack("<I", tag | level << 10 | len(data) << 20) + data


def hwp_string(text: str) -> bytes:
    return struct.pack("<H", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")


def hwp_text(text: str) -> bytes:
    """UTF-16 with the control characters of HWP: a tab takes eight units."""
    return b"".join(
        struct.pack("<H", 9) + b"\0" * 12 + struct.pack("<H", 9) if letter == "\t" else letter.encode("utf-16-le")
        for letter in text
    )


def hwp_paragraph(text: str, level: int = 0, *, shape: int = 0, style: int = 0, below: bytes = b"") -> bytes:
    content = hwp_text(text) + b"\r\0"
    return (
        hwp_record(66, level, struct.pack("<IIHBBHHHI", len(content) // 2, 0, shape, style, 0, 1, 0, 0, 0))
        + hwp_record(67, level + 1, content)
        + below
    )


def hwp_control(kind: str, level: int, data: bytes = b"\0" * 42) -> bytes:
    return hwp_record(71, level, kind.encode()[::-1] + data)


def hwp_table(rows: Sequence[Sequence[tuple[str, int, int]]], level: int = 1) -> bytes:
    """Cells as (text, columns, rows)."""
    taken: set[tuple[int, int]] = set()
    cells = b""
    for row, line in enumerate(rows):
        column = 0
        for text, columns, height in line:
            while (row, column) in taken:
                column += 1
            taken |= {(row + y, column + x) for y in range(height) for x in range(columns)}
            cells += hwp_record(
                72, level + 1, struct.pack("<HHI4H", 1, 0, 0, column, row, columns, height) + b"\0" * 20
            )
            cells += hwp_paragraph(text, level + 1)
    width = max(column for _, column in taken) + 1
    return hwp_control("tbl ", level) + hwp_record(77, level + 1, struct.pack("<IHH", 0, len(rows), width)) + cells


HWP_SHAPES = (("NONE", 0, 0), ("OUTLINE", 0, 0), ("NUMBER", 0, 2), ("BULLET", 0, 1))


def write_hwp(path: Path, sections: Sequence[bytes], *, flags: int = 1) -> Path:
    """An HWP 5 document: shapes plain, outline, numbered «제^1조», bulleted; styles 바탕글, 개요 1, 차례 1."""
    shapes = b""
    for kind, at, list_id in HWP_SHAPES:
        head = ("NONE", "OUTLINE", "NUMBER", "BULLET").index(kind)
        shapes += hwp_record(
            25, 0, struct.pack("<I", head << 23 | at << 25).ljust(30, b"\0") + struct.pack("<H", list_id)
        )
    numberings = b""
    for pattern in ("^1.", "제^1조"):
        levels = b"".join(b"\0" * 12 + hwp_string(pattern) for _ in range(7))
        numberings += hwp_record(23, 0, levels + struct.pack("<H7I", 0, *[1] * 7))
    styles = b"".join(
        hwp_record(26, 0, hwp_string(name) + hwp_string("") + b"\0" * 10) for name in ("바탕글", "개요 1", "차례 1")
    )

    def packed(data: bytes) -> bytes:
        if not flags & 1:
            return data
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(data) + deflate.flush()

    header = b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05010001, flags)
    streams = {"FileHeader": header.ljust(256, b"\0"), "DocInfo": packed(shapes + numberings + styles)}
    streams |= {f"BodyText/Section{index}": packed(section) for index, section in enumerate(sections)}
    path.write_bytes(compound_file(streams))
    return path


HWPX_NAMESPACES = (
    'xmlns:hs="http://www.hancom.co.kr/hwpml/2011/section" xmlns:hp="http://www.hancom.co.kr/hwpml/2011/paragraph" '
    'xmlns:hh="http://www.hancom.co.kr/hwpml/2011/head"'
)


def hwpx_paragraph(text: str, *, style: int = 0, shape: int = 0, inside: str = "") -> str:
    return (
        f'<hp:p styleIDRef="{style}" paraPrIDRef="{shape}"><hp:run charPrIDRef="0"><hp:t>{text}</hp:t>{inside}'
        "</hp:run></hp:p>"
    )


def hwpx_table(rows: Sequence[Sequence[tuple[str, int, int]]]) -> str:
    """Cells as (text, columns, rows); covered places have no cell, as in Hancom's files."""
    taken: set[tuple[int, int]] = set()
    lines = ""
    for row, line in enumerate(rows):
        column = 0
        cells = ""
        for text, columns, height in line:
            while (row, column) in taken:
                column += 1
            taken |= {(row + y, column + x) for y in range(height) for x in range(columns)}
            cells += (
                f"<hp:tc><hp:subList>{hwpx_paragraph(escape(text))}</hp:subList>"
                f'<hp:cellAddr colAddr="{column}" rowAddr="{row}"/>'
                f'<hp:cellSpan colSpan="{columns}" rowSpan="{height}"/></hp:tc>'
            )
        lines += f"<hp:tr>{cells}</hp:tr>"
    return f'<hp:tbl rowCnt="{len(rows)}">{lines}</hp:tbl>'


HWPX_HEADER = f"""<?xml version="1.0" encoding="UTF-8"?><hh:head {HWPX_NAMESPACES}><hh:refList>
<hh:numberings>
<hh:numbering id="1" start="0"><hh:paraHead level="1" start="1" numFormat="DIGIT">^1.</hh:paraHead></hh:numbering>
<hh:numbering id="2" start="0"><hh:paraHead level="1" start="1" numFormat="DIGIT">제^1조</hh:paraHead></hh:numbering>
</hh:numberings>
<hh:paraProperties>
<hh:paraPr id="0"><hh:heading type="NONE" idRef="0" level="0"/></hh:paraPr>
<hh:paraPr id="1"><hh:heading type="OUTLINE" idRef="0" level="0"/></hh:paraPr>
<hh:paraPr id="2"><hh:heading type="NUMBER" idRef="2" level="0"/></hh:paraPr>
<hh:paraPr id="3"><hh:heading type="BULLET" idRef="1" level="0"/></hh:paraPr>
</hh:paraProperties>
<hh:styles><hh:style id="0" type="PARA" name="바탕글"/><hh:style id="1" type="PARA" name="개요 1"/>
<hh:style id="2" type="PARA" name="차례 1"/></hh:styles></hh:refList></hh:head>"""


def write_hwpx(path: Path, sections: Sequence[str], *, manifest: str = "") -> Path:
    """An HWPX document of sections made of `hwpx_paragraph`; styles and shapes as those of `write_hwp`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/hwp+zip", zipfile.ZIP_STORED)
        archive.writestr("Contents/header.xml", HWPX_HEADER)
        if manifest:
            archive.writestr("META-INF/manifest.xml", manifest)
        for index, section in enumerate(sections):
            archive.writestr(
                f"Contents/section{index}.xml",
                f'<?xml version="1.0" encoding="UTF-8"?><hs:sec {HWPX_NAMESPACES}>{section}</hs:sec>',
            )
    return path


PDF_FONT = "HYSMyeongJo-Medium"


def write_pdf(
    path: Path,
    story: Sequence[str | Sequence[Sequence[str]]],
    *,
    header: str = "",
    footer: str = "",
    columns: int = 1,
    password: str | None = None,
) -> Path:
    """A PDF of paragraphs (`# ` before a title, `\\f` for a new page) and ruled tables, with Korean letters."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import BaseDocTemplate, Frame, PageBreak, PageTemplate, Paragraph, Table, TableStyle

    pdfmetrics.registerFont(UnicodeCIDFont(PDF_FONT))
    body = ParagraphStyle("body", fontName=PDF_FONT, fontSize=10.5, leading=16, wordWrap="CJK", spaceAfter=10)
    title = ParagraphStyle("title", parent=body, fontSize=18, leading=26)
    width, height = A4

    def margins(canvas, template) -> None:
        canvas.setFont(PDF_FONT, 9)
        canvas.drawString(60, height - 40, header)
        canvas.drawCentredString(width / 2, 30, footer.replace("#", str(template.page)))

    frames = [
        Frame(60 + index * (width - 100) / columns, 60, (width - 100) / columns - 20, height - 130)
        for index in range(columns)
    ]
    document = BaseDocTemplate(str(path), pagesize=A4, encrypt=StandardEncryption(password) if password else None)
    document.addPageTemplates(PageTemplate(frames=frames, onPage=margins))
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("FONT", (0, 0), (-1, -1), PDF_FONT, 10)])
    flow = []
    for part in story:
        if not isinstance(part, str):
            flow.append(Table(part, style=grid, repeatRows=1))
        elif part == "\f":
            flow.append(PageBreak())
        else:
            flow.append(Paragraph(escape(part.removeprefix("# ")), title if part.startswith("# ") else body))
    document.build(flow)
    return path
