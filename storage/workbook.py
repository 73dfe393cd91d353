"""Excel workbooks of text cells, written without a library: a header that stays in view, widths, lists to choose from."""

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

MOST_CELL_CHARACTERS = 32_767
"""Of a cell, as Excel holds it."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_LONGEST_LIST = 255
"""Characters of a list of choices that stands in the sheet itself."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet; the first row is its header."""

    name: str
    rows: Sequence[Sequence[str]]
    widths: Sequence[int] = ()
    """In characters, by column."""
    choices: tuple[int, tuple[str, ...]] | None = None
    """A column (from 0) in which one of these is chosen; other texts may be typed all the same."""


def workbook_bytes(sheets: Sequence[Sheet]) -> bytes:
    """The .xlsx file; the same bytes for the same sheets."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _parts(sheets):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), _DECLARATION + text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _parts(sheets: Sequence[Sheet]) -> list[tuple[str, str]]:
    numbers = range(1, len(sheets) + 1)
    base = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{base}.worksheet+xml"/>'
        for number in numbers
    )
    listed = "".join(
        f'<sheet name={quoteattr(sheet.name[:31])} sheetId="{number}" r:id="rId{number}"/>'
        for number, sheet in zip(numbers, sheets, strict=True)
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    package = "http://schemas.openxmlformats.org/package/2006"
    return [
        (
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{base}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{base}.styles+xml"/>{overrides}</Types>',
        ),
        (
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        ),
        (
            "xl/workbook.xml",
            f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        ),
        (
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{relations}<Relationship Id="rId{len(sheets) + 1}" '
            f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        ),
        (
            "xl/styles.xml",
            f'<styleSheet {_MAIN}><fonts count="2"><font><sz val="11"/><name val="맑은 고딕"/></font>'
            '<font><b/><sz val="11"/><name val="맑은 고딕"/></font></fonts>'
            '<fills count="3"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/>'
            '</fill><fill><patternFill patternType="solid"><fgColor rgb="FFE8EEF7"/></patternFill></fill></fills>'
            '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
            # 49: text, so that 3-1 does not become a date
            '<cellXfs count="2"><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyAlignment="1"><alignment vertical="top" '
            'wrapText="1"/></xf><xf numFmtId="49" fontId="1" fillId="2" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1" '
            'applyFill="1"/></cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
            "</styleSheet>",
        ),
        *((f"xl/worksheets/sheet{number}.xml", _sheet(sheet)) for number, sheet in zip(numbers, sheets, strict=True)),
    ]


def _sheet(sheet: Sheet) -> str:
    columns = "".join(
        f'<col min="{number}" max="{number}" width="{width}" customWidth="1" style="0"/>'
        for number, width in enumerate(sheet.widths, start=1)
    )
    rows = "".join(_row(number, cells) for number, cells in enumerate(sheet.rows, start=1))
    return (
        f'<worksheet {_MAIN}><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
        'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"{f'<cols>{columns}</cols>' if columns else ''}<sheetData>{rows}</sheetData>{_validation(sheet)}</worksheet>"
    )


def _row(number: int, cells: Sequence[str]) -> str:
    style = 1 if number == 1 else 0
    found = "".join(
        f'<c r="{_letters(column)}{number}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{_cell(text)}</t>'
        "</is></c>"
        for column, text in enumerate(cells)
        if text
    )
    return f'<row r="{number}">{found}</row>'


def _cell(text: str) -> str:
    # _x0041_ is Excel's own escape: the underscore before it is escaped to keep such a text as it is
    kept = re.sub("_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", _FORBIDDEN.sub("", text)[:MOST_CELL_CHARACTERS])
    return escape(kept.replace("\r\n", "\n").replace("\r", "\n"))


def _validation(sheet: Sheet) -> str:
    if sheet.choices is None:
        return ""
    column, choices = sheet.choices
    listed = ",".join(choices)
    if len(listed) > _LONGEST_LIST:
        return ""
    letters = _letters(column)
    formula = escape('"' + listed + '"')
    return (
        '<dataValidations count="1"><dataValidation type="list" allowBlank="1" showErrorMessage="0" '
        f'sqref="{letters}2:{letters}10000"><formula1>{formula}</formula1></dataValidation></dataValidations>'
    )


def _letters(column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
